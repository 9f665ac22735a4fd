"""GET /v1/runs/{id}"""

from datetime import timedelta

import pytest

from flowforge.core import clock
from flowforge.core.ids import new_id, step_id
from tests import factories

START = clock.datetime(2026, 1, 1, 12, 0, 0, tzinfo=clock.UTC)


@pytest.fixture
def run(chain):
    return factories.make_run(workflow=chain, inputs={"day": "é"}, steps_total=2, created_at=START)


def path(run):
    return f"/v1/runs/{run.id}"


AS_SHOWN = {  # what doesn't depend on ids
    "workflow_version": 1,
    "status": "completed",
    "status_reason": None,
    "attempt": 1,
    "priority": 0,
    "trigger": {"type": "api", "id": None},
    "inputs": {"day": "é"},
    "outputs": {"rows": 3},
    "metadata": {"customer": "acme"},
    "error": None,
    "metrics": {
        "queue_ms": 4,
        "duration_ms": 812,
        "steps_total": 2,
        "steps_completed": 2,
        "steps_failed": 0,
        "steps_skipped": 0,
        "retries": 1,
        "llm_cost": 0,
    },
    "parent_run_id": None,
    "replay_of": None,
    "created_at": "2026-01-01T12:00:00.000000Z",
    "started_at": "2026-01-01T12:00:00.004000Z",
    "finished_at": "2026-01-01T12:00:00.816000Z",
}
DONE_AS_SHOWN = {
    "node_id": "extract",
    "name": "Extract rows",
    "type": "transform",
    "status": "completed",
    "attempt": 2,
    "max_attempts": 1,
    "inputs": {"values": {"n": 1}},
    "output": [1, "a"],
    "error": None,
    "branch": "yes",
    "worker": "w-1",
    "started_at": "2026-01-01T12:00:00.005000Z",
    "finished_at": "2026-01-01T12:00:00.085000Z",
    "duration_ms": 80,
    "logs": [{"at": "2026-01-01T12:00:00.000000Z", "level": "info", "message": "line 1"}],
}
NEVER_BEGUN_AS_SHOWN = {
    "node_id": "load",
    "name": "load",
    "type": "transform",
    "status": "cancelled",
    "attempt": 0,
    "max_attempts": 5,
    "inputs": None,
    "output": None,
    "error": None,
    "branch": None,
    "worker": None,
    "started_at": None,
    "finished_at": None,
    "duration_ms": None,
    "logs": [],
}


@pytest.fixture
def done(chain, log_lines):
    """A run that has ended: one step was done, the other never begun."""
    run = factories.make_run(
        workflow=chain,
        status="completed",
        inputs={"day": "é"},
        outputs={"rows": 3},
        metadata={"customer": "acme"},
        steps_total=2,
        steps_completed=2,
        retries=1,
        created_at=START,
        started_at=START + timedelta(milliseconds=4),
        finished_at=START + timedelta(milliseconds=816),
    )
    step = factories.make_step(
        run=run,
        node_id="extract",
        status="completed",
        attempt=2,
        inputs={"values": {"n": 1}},
        output=[1, "a"],
        branch="yes",
        worker="w-1",
        started_at=START + timedelta(milliseconds=5),
        finished_at=START + timedelta(milliseconds=85),
    )
    log_lines(step, 1, at=START)
    return run


def test_it_works(client, done, chain):
    """The document of the contract, member by member."""
    assert client.get(path(done)).expect(200).data == {
        **AS_SHOWN,
        "id": str(done.id),
        "workflow_id": str(chain.id),
        "workflow_name": chain.name,
        "project_id": str(chain.project_id),
        "trace_id": done.trace_id,
        "steps": [
            {"id": str(step_id(done.id, "extract")), **DONE_AS_SHOWN},
            {"id": str(step_id(done.id, "load")), **NEVER_BEGUN_AS_SHOWN},
        ],
    }


def test_an_error_has_all_of_its_members(client, chain):
    """Whatever wrote it: `{"code", "message", "step", "details"}`."""
    cause = {"code": "exit_code", "message": "no", "details": {"exit_code": 3}}
    failed = factories.make_run(
        workflow=chain,
        status="failed",
        error={"code": "step_failed", "message": "The step failed", "step": "extract", "details": cause},
    )
    factories.make_step(run=failed, node_id="extract", status="failed", error={"code": "timeout", "message": "late"})
    shown = client.get(path(failed)).expect(200).data
    assert shown["error"]["details"] == cause
    assert shown["error"]["step"] == "extract"
    assert shown["steps"][0]["error"] == {"code": "timeout", "message": "late", "step": "extract", "details": {}}

    cancelled = factories.make_run(workflow=chain, status="cancelled", error={"code": "cancelled", "message": "Stop"})
    told = {"code": "cancelled", "message": "Stop", "step": None, "details": {}}
    assert client.get(path(cancelled)).data["error"] == told
    assert client.get("/v1/runs?status=cancelled").data[0]["error"] == told


def test_it_rejects_those_who_may_not_see_it(run, client_with, client_as, stranger, anonymous):
    client_as("viewer").get(path(run)).expect(200)
    client_with("runs:read").get(path(run)).expect(200)
    client_with("workflows:read").get(path(run)).expect(403)
    assert stranger.get(path(run)).expect(404).code == "not_found"
    anonymous.get(path(run)).expect(401)


def test_it_rejects_an_unknown_id(client):
    assert client.get(f"/v1/runs/{new_id()}").expect(404).code == "not_found"
    assert client.get("/v1/runs/nonsense").expect(404).code == "not_found"


def test_a_step_that_has_not_begun_is_pending(client, run):
    steps = client.get(path(run)).data["steps"]

    assert [(step["node_id"], step["status"]) for step in steps] == [("extract", "pending"), ("load", "pending")]
    assert [step["id"] for step in steps] == [str(step_id(run.id, "extract")), str(step_id(run.id, "load"))]


def test_steps_come_in_the_definitions_order(client, run):
    for node in ("load", "extract"):
        factories.make_step(run=run, node_id=node, status="running")

    assert [step["node_id"] for step in client.get(path(run)).data["steps"]] == ["extract", "load"]


def test_metrics_of_what_has_not_come_are_null(client, run):
    metrics = client.get(path(run)).data["metrics"]

    assert (metrics["queue_ms"], metrics["duration_ms"]) == (None, None)


def test_waiting_for_run_at_is_no_queueing(client, chain):
    run = factories.make_run(
        workflow=chain,
        created_at=START,
        run_at=START + timedelta(hours=1),
        started_at=START + timedelta(hours=1, milliseconds=7),
    )

    assert client.get(path(run)).data["metrics"]["queue_ms"] == 7


def test_each_step_shows_its_newest_lines(client, run, log_lines):
    first = factories.make_step(run=run, node_id="extract", status="completed")
    second = factories.make_step(run=run, node_id="load", status="running")
    log_lines(first, 3)
    log_lines(second, 30)
    log_lines(first, 2)

    steps = client.get(path(run)).data["steps"]

    assert [line["message"] for line in steps[0]["logs"]] == ["line 1", "line 2", "line 3", "line 1", "line 2"]
    assert [line["message"] for line in steps[1]["logs"]] == [f"line {number}" for number in range(11, 31)]


def test_steps_can_be_left_out(client, run):
    assert "steps" in client.get(path(run), include="steps").data
    assert "steps" not in client.get(path(run), include="").data
    assert client.get(path(run), include="children").expect(400).code == "invalid_query"


def test_it_takes_three_queries(client, run, log_lines, own_queries):
    step = factories.make_step(run=run, node_id="extract", status="completed")
    log_lines(step, 2)
    client.get(path(run))  # credentials and definition are read once

    with own_queries:
        client.get(path(run)).expect(200)

    assert len(own_queries.statements) == 3
    with own_queries:
        client.get(path(run), include="").expect(200)
    assert len(own_queries.statements) == 1


def test_the_same_state_is_not_sent_twice(client, run):
    tag = client.get(path(run)).headers["ETag"]

    client.get(path(run), headers={"If-None-Match": tag}).expect(304)
    factories.make_step(run=run, node_id="extract", status="running")
    client.get(path(run), headers={"If-None-Match": tag}).expect(200)


def test_a_very_large_run_leaves_its_steps_to_pages(client, project):
    nodes = [{"id": f"n{number}", "type": "transform", "config": {"values": {}}} for number in range(1001)]
    workflow = factories.make_workflow(project=project, definition={"nodes": nodes, "edges": []})
    run = factories.make_run(workflow=workflow, steps_total=1001)

    shown = client.get(path(run)).expect(200).data

    assert "steps" not in shown
    assert shown["metrics"]["steps_total"] == 1001
