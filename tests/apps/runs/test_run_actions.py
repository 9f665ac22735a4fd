"""POST /v1/runs/{id}:cancel, :pause and :resume"""

import pytest

from flowforge.core import clock
from flowforge.core.ids import new_id
from tests import factories

pytestmark = pytest.mark.django_db

ACTIONS = ("cancel", "pause", "resume")


@pytest.fixture
def run(workflow):
    return factories.make_run(workflow=workflow, status="running")


def path(run, action):
    return f"/v1/runs/{run.id}:{action}"


@pytest.mark.parametrize(("action", "column"), [("cancel", "cancel_requested_at"), ("pause", "pause_requested_at")])
def test_it_works(client, run, action, column, bell, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        answer = client.post(path(run, action)).expect(202)

    run.refresh_from_db()
    assert getattr(run, column) is not None
    assert answer.headers["Location"] == f"/v1/runs/{run.id}"
    assert answer.data == client.get(f"/v1/runs/{run.id}").data
    assert bell.driven == [run.id]
    client.post(path(run, action), {}).expect(202)


def test_resume(client, run):
    client.post(path(run, "pause")).expect(202)

    client.post(path(run, "resume")).expect(202)

    run.refresh_from_db()
    assert run.pause_requested_at is None
    client.post(path(run, "resume")).expect(409)


@pytest.mark.parametrize("action", ACTIONS)
def test_it_rejects_a_run_that_has_ended(client, run, end, action):
    end(run, pause_requested_at=clock.now())

    assert client.post(path(run, action)).expect(409).code == "conflict"


@pytest.mark.parametrize("action", ACTIONS)
def test_it_rejects_those_who_may_not(run, action, client_with, client_as, stranger, anonymous):
    run.pause_requested_at = clock.now()
    run.save(update_fields=["pause_requested_at"])

    client_as("viewer").post(path(run, action)).expect(403)
    client_with("runs:read").post(path(run, action)).expect(403)
    stranger.post(path(run, action)).expect(404)
    anonymous.post(path(run, action)).expect(401)
    client_as("operator").post(path(run, action)).expect(202)


@pytest.mark.parametrize("action", ACTIONS)
def test_it_rejects_what_makes_no_sense(client, run, action):
    client.post(f"/v1/runs/{new_id()}:{action}").expect(404)
    client.get(path(run, action)).expect(405)
    assert client.post(path(run, action), {"force": True}).expect(422).pointers == {"/force": "unknown_field"}
