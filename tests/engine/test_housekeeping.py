"""What has expired is deleted, a bounded number at a time, whatever else fails."""

from datetime import timedelta

import pytest
from django.db import DatabaseError

from flowforge.api.models import RateWindow
from flowforge.core import clock
from flowforge.engine import housekeeping
from flowforge.projects.models import IdempotencyRecord, Project
from runs.models import DedupeKey
from tests import factories

pytestmark = pytest.mark.django_db


def test_it_works(project: Project) -> None:
    now = clock.now()
    workflow = factories.make_workflow(project=project)
    for number, age in enumerate((-1, 1)):
        moment = now + timedelta(hours=age)
        IdempotencyRecord.objects.create(scope="s", key=str(number), request_hash="", expires_at=moment)
        RateWindow.objects.create(key=str(number), count=1, ends_at=moment.timestamp())
        DedupeKey.objects.create(workflow=workflow, key=str(number), run_id=workflow.pk, expires_at=moment)
    found = housekeeping.run_once(now)
    assert set(found.deleted.values()) == {0, 1}
    assert [model.objects.get().key for model in (IdempotencyRecord, RateWindow, DedupeKey)] == ["1", "1", "1"]


def test_it_takes_as_many_calls_as_are_needed() -> None:
    moment = clock.now() - timedelta(hours=1)
    for number in range(5):
        RateWindow.objects.create(key=str(number), count=1, ends_at=moment.timestamp())
    assert housekeeping.run_once(clock.now(), limit=2).deleted["flowforge.api.rates.purge"] == 5


def test_a_purge_that_fails_hinders_no_other(settings: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> int:
        raise DatabaseError

    monkeypatch.setattr("runs.services.dedupe.purge", fail)
    settings.HOUSEKEEPING = ["runs.services.dedupe.purge", "flowforge.api.rates.purge"]  # type: ignore[attr-defined]  # pytest-django's wrapper
    assert housekeeping.run_once(clock.now()).deleted == {"flowforge.api.rates.purge": 0}
