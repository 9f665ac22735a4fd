"""POST /v1/runs/{id}:retry, :replay and :run_now, and PATCH /v1/runs/{id}"""

from datetime import timedelta

import pytest

from flowforge.core import clock
from flowforge.core.ids import new_id
from runs.models import Run, RunEvent
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def failed(chain):
    """The first step is done, the second failed."""
    run = factories.make_run(
        workflow=chain, status="failed", inputs={"day": "monday"}, steps_total=2, started_at=clock.now(), event_seq=4
    )
    factories.make_step(run=run, node_id="extract", status="completed", attempt=1, output={"n": 1})
    factories.make_step(run=run, node_id="load", status="failed", attempt=1, error={"code": "x", "message": "y"})
    return run


@pytest.fixture
def pending(chain):
    return factories.make_run(workflow=chain, inputs={"day": "monday"}, run_at=clock.now() + timedelta(hours=1))


def path(run, action=""):
    return f"/v1/runs/{run.id}{action}"


def test_it_works(client, failed, bell, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        answer = client.post(path(failed, ":retry")).expect(202)

    assert (answer.data["status"], answer.data["attempt"], answer.data["error"]) == ("running", 2, None)
    assert answer.headers["Location"] == path(failed)
    assert [(step["status"], step["attempt"], step["max_attempts"]) for step in answer.data["steps"]] == [
        ("completed", 1, 1),
        ("pending", 1, 6),
    ]
    assert answer.data["steps"][1]["error"] is None
    assert answer.data["metrics"]["steps_completed"] == 1
    assert bell.driven == [failed.id]
    event = RunEvent.objects.get(run_id=failed.id, seq=5)
    assert (event.event, event.data["attempt"], event.data["step_count"]) == ("run.retried", 2, 1)
    assert client.post(path(failed, ":retry")).expect(409).code == "conflict"


def test_replay(client, failed, bell, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        answer = client.post(path(failed, ":replay"), {"from_node": "load", "inputs": {"day": "friday"}}).expect(202)

    new = answer.data
    assert answer.headers["Location"] == f"/v1/runs/{new['id']}"
    assert (new["replay_of"], new["status"]) == (str(failed.id), "pending")
    assert new["trigger"] == {"type": "replay", "id": str(failed.id)}
    assert new["inputs"] == {"day": "friday", "mode": "full"}
    assert [(step["status"], step["output"]) for step in new["steps"]] == [("completed", {"n": 1}), ("pending", None)]
    assert [str(run_id) for run_id in bell.driven] == [new["id"]]
    assert client.get("/v1/runs", trigger="replay").data[0]["id"] == new["id"]


def test_a_replay_needs_no_body_and_can_be_asked_once(client, failed):
    first = client.post(path(failed, ":replay"), headers={"Idempotency-Key": "once"}).expect(202)
    again = client.post(path(failed, ":replay"), headers={"Idempotency-Key": "once"}).expect(202)

    assert again.data == first.data
    assert again.headers["Idempotent-Replayed"] == "true"
    assert Run.objects.filter(replay_of=failed).count() == 1


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"from_node": "nowhere"}, {"/from_node": "not_found"}),
        ({"version": 9}, {"/version": "not_found"}),
        ({"version": 0}, {"/version": "min_value"}),
        ({"inputs": {}}, {"/inputs/day": "required"}),
        ({"inputs": [1]}, {"/inputs": "not_a_dict"}),
        ({"node": "load"}, {"/node": "unknown_field"}),
    ],
)
def test_it_rejects_a_replay_that_cannot_be(client, failed, body, pointers):
    assert client.post(path(failed, ":replay"), body).expect(422).pointers == pointers
    assert Run.objects.count() == 1


def test_it_rejects_a_replay_of_a_workflow_that_is_paused(client, failed, chain):
    type(chain).objects.filter(pk=chain.pk).update(status="paused")

    client.post(path(failed, ":replay")).expect(409)


def test_run_now(client, pending, bell, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        answer = client.post(path(pending, ":run_now")).expect(202)

    assert answer.data["status"] == "pending"
    assert bell.driven == [pending.id]
    pending.refresh_from_db()
    assert pending.run_at <= clock.now()
    client.post(path(pending, ":run_now")).expect(409)


def test_priority(client, pending):
    before = client.get(path(pending)).expect(200)

    answer = client.patch(path(pending), {"priority": 9}).expect(200)

    assert (before.data["priority"], answer.data["priority"]) == (0, 9)
    assert answer.data == client.get(path(pending)).data
    stale = {"If-Match": before.headers["ETag"]}
    client.patch(path(pending), {"priority": 1}, headers=stale).expect(412)
    client.patch(path(pending), {"priority": 2}, headers={"If-Match": answer.headers["ETag"]}).expect(200)


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, {"/priority": "required"}),
        ({"priority": "high"}, {"/priority": "invalid"}),
        ({"priority": 2**31}, {"/priority": "max_value"}),
        ({"priority": 1, "run_at": None}, {"/run_at": "unknown_field"}),
    ],
)
def test_it_rejects_a_priority_that_is_none(client, pending, body, pointers):
    assert client.patch(path(pending), body).expect(422).pointers == pointers


def test_it_rejects_runs_in_another_state(client, chain, failed):
    for status in ("running", "waiting", "paused", "completed", "pending"):
        client.post(path(factories.make_run(workflow=chain, status=status), ":retry")).expect(409)
    for status in ("running", "completed", "cancelled"):
        run = factories.make_run(workflow=chain, status=status)
        client.patch(path(run), {"priority": 1}).expect(409)
        client.post(path(run, ":run_now")).expect(409)
    client.post(path(factories.make_run(workflow=chain), ":run_now")).expect(409)  # it waits for nothing


ACTIONS = (":retry", ":replay", ":run_now")


@pytest.mark.parametrize("action", ACTIONS)
def test_it_rejects_those_who_may_not(failed, pending, action, client_with, client_as, stranger, anonymous):
    target = path(pending if action == ":run_now" else failed, action)

    client_as("viewer").post(target).expect(403)
    client_with("runs:read").post(target).expect(403)
    stranger.post(target).expect(404)
    anonymous.post(target).expect(401)
    client_as("operator").post(target).expect(202)


def test_it_rejects_those_who_may_not_change(pending, client_with, client_as, stranger, anonymous):
    body = {"priority": 3}

    client_as("viewer").patch(path(pending), body).expect(403)
    client_with("runs:read").patch(path(pending), body).expect(403)
    stranger.patch(path(pending), body).expect(404)
    anonymous.patch(path(pending), body).expect(401)
    client_as("operator").patch(path(pending), body).expect(200)


@pytest.mark.parametrize("action", ACTIONS)
def test_it_rejects_what_makes_no_sense(client, failed, action):
    client.post(f"/v1/runs/{new_id()}{action}").expect(404)
    client.get(path(failed, action)).expect(405)
    assert client.post(path(failed, action), {"force": True}).expect(422).pointers == {"/force": "unknown_field"}


def test_retrying_costs_a_bounded_number_of_statements(client, project, own_queries):
    def statements(length):
        nodes = [{"id": f"n{n}", "type": "transform", "config": {"values": {}}} for n in range(length)]
        run = factories.make_run(
            workflow=factories.make_workflow(project=project, definition={"nodes": nodes, "edges": []}),
            status="cancelled",
            steps_total=length,
        )
        for node in nodes:
            factories.make_step(run=run, node_id=node["id"], status="cancelled")
        own_queries.initial_queries = 0
        with own_queries:
            client.post(path(run, ":retry")).expect(202)
        return len(own_queries.statements)

    statements(1)
    assert statements(40) == statements(2)
