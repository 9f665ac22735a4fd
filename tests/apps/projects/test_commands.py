"""manage.py create_user, create_api_key."""

import io
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from flowforge.projects import authentication
from flowforge.projects.models import ApiKey, Membership, User
from flowforge.projects.services import people
from tests import factories


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def secret_in(text: str, label: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(label)).removeprefix(label).strip()


def test_it_works_for_a_person(project):
    text = run("create_user", "ann", "--project", project.name, "--role", "editor")
    assert people.log_in(username="ann", password=secret_in(text, "password:"))
    seat = Membership.objects.get(user__username="ann")
    assert (seat.project, seat.role) == (project, "editor")


def test_it_works_for_a_key(project, frozen_clock):
    text = run(
        "create_api_key", "--project", str(project.pk), "--name", "ci", "--scopes", "runs:write, runs:read",
        "--expires", "30d",
    )  # fmt: skip
    caller = authentication.caller_of(secret_in(text, "key:"))
    assert caller.grants == {project.pk: frozenset(["runs:read", "runs:write"])}
    row = ApiKey.objects.get()
    assert row.expires_at == frozen_clock.now() + timedelta(days=30)
    assert row.created_by is None


def test_a_given_password_is_not_printed(project):
    text = run("create_user", "ann", "--project", project.name, "--role", "viewer", "--password", factories.PASSWORD)
    assert factories.PASSWORD not in text
    assert people.log_in(username="ann", password=factories.PASSWORD)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--project", "Nowhere"], "There is no active project"),
        (["--role", "king"], "invalid choice"),
        (["--password", "short"], "password: This password is too short"),
        (["--password", "password1234"], "too common"),
    ],
)
def test_it_rejects_a_person_that_cannot_be(project, change, message):
    with pytest.raises(CommandError, match=message):
        run("create_user", "ann", "--project", project.name, "--role", "viewer", *change)
    assert not User.objects.filter(username="ann").exists()


@pytest.mark.parametrize(("name", "message"), [("bob", "already"), ("a b", "valid username"), ("", "required|valid")])
def test_it_rejects_a_name_that_is_taken_or_none(project, name, message):
    factories.make_user(username="bob")
    with pytest.raises(CommandError, match=message):
        run("create_user", name, "--project", project.name, "--role", "viewer")
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--scopes", "runs:read,runs:delete"], "There is no scope 'runs:delete'"),
        (["--scopes", ""], "There is no scope ''"),
        (["--expires", "soon"], "--expires"),
        (["--expires", "0s"], "--expires"),
        (["--project", "00000000-0000-0000-0000-000000000000"], "There is no active project"),
    ],
)
def test_it_rejects_a_key_that_cannot_be(project, change, message):
    with pytest.raises(CommandError, match=message):
        run("create_api_key", "--project", project.name, "--name", "ci", "--scopes", "admin", *change)
    assert not ApiKey.objects.exists()


def test_it_rejects_a_name_that_several_projects_have(project):
    factories.make_project(name=project.name)
    with pytest.raises(CommandError, match="Several"):
        run("create_api_key", "--project", project.name, "--name", "ci", "--scopes", "admin")
