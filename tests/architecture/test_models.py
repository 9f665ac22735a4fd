"""Every table: readable in the admin, ordered in lists, guarded by constraints that a person can name."""

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import models

from tests.support.sources import PACKAGES

OURS = [
    model
    for model in apps.get_models()
    if model.__module__.split(".")[0] in PACKAGES and not model._meta.auto_created and not model._meta.proxy
]


def test_it_works() -> None:
    assert {"Project", "Workflow", "Run", "StepRun"} <= {model.__name__ for model in OURS}


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_it_says_what_it_is(model: type[models.Model]) -> None:
    assert model.__str__ is not models.Model.__str__


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_it_has_an_order(model: type[models.Model]) -> None:
    assert model._meta.ordering


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_its_constraints_are_named_by_people(model: type[models.Model]) -> None:
    """`unique_together` and `index_together` leave the naming to the machine."""
    assert model._meta.unique_together == ()
    names = [item.name for item in (*model._meta.constraints, *model._meta.indexes)]
    assert all(name and not name.endswith(("_idx", "_uniq")) for name in names), names


@pytest.mark.django_db
def test_migrations_tell_all_that_models_say() -> None:
    assert call_command("makemigrations", check=True, dry_run=True, verbosity=0) is None


def test_all_that_is_sealed_can_be_sealed_anew() -> None:
    """`manage.py rotate_secrets` goes over what settings.SEALED names: a column that is left out dies with its key."""
    columns = {
        (model._meta.label, field.name)
        for model in OURS
        for field in model._meta.concrete_fields
        if field.name.endswith("_ciphertext")
    }
    assert {(label, column) for label, column, _, _ in settings.SEALED} == columns
