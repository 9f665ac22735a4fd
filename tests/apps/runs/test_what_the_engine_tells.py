"""A run from the call that starts it to its last event: what the engine writes is what readers are promised."""

import pytest

from flowforge.core import bell as core_bell
from flowforge.core.jsonschema import compile_schema
from flowforge.engine import driver, worker
from flowforge.events.schemas import RUN_EVENTS
from tests import factories
from tests.support import step_types

pytestmark = pytest.mark.django_db

DEFINITION = {
    "nodes": [
        {"id": "double", "type": "transform", "config": {"values": {"n": "{{ inputs.n * 2 }}"}}},
        {"id": "shaky", "type": "effect", "config": {"fail_times": 1, "log": ["one", "two"]}, "retry": {
            "max_attempts": 2, "initial_delay": 0, "jitter": 0}},
        {"id": "choice", "type": "condition", "config": {"expression": "{{ inputs.n > 100 }}"}},
        {"id": "never", "type": "effect", "config": {}},
        {"id": "nap", "type": "delay", "config": {"duration": "0s"}},
        {"id": "broken", "type": "effect", "config": {"fail_times": 9, "retryable": False}},
    ],
    "edges": [
        {"source": "double", "target": "shaky"},
        {"source": "shaky", "target": "choice"},
        {"source": "choice", "target": "never", "when": "true"},
        {"source": "choice", "target": "nap", "when": "false"},
        {"source": "nap", "target": "broken"},
    ],
}  # fmt: skip


@pytest.fixture
def drain(bell, monkeypatch, settings):
    """Answers hints until none is left."""
    settings.STEP_TYPES = list(step_types.PATHS)
    step_types.Effect.reset()
    monkeypatch.setattr(core_bell, "drive", core_bell.drive_now)  # the test's transaction never commits

    def answer(ring):
        if ring.name == core_bell.DRIVE:
            driver.drive(ring.run_id)
        else:
            worker.work(ring.run_id, ring.queue, last_chance=ring.last_chance)

    return lambda: bell.drain(answer)


def test_it_works(client, project, drain):
    workflow = factories.make_workflow(project=project, definition=DEFINITION)
    started = client.post(f"/v1/workflows/{workflow.id}:run", {"inputs": {"n": 21}}).expect(202)

    drain()

    run = client.get(started.headers["Location"]).expect(200).data
    assert run["status"] == "failed"
    assert (run["error"]["code"], run["error"]["step"]) == ("step_failed", "broken")
    assert {step["node_id"]: step["status"] for step in run["steps"]} == {
        "double": "completed",
        "shaky": "completed",
        "choice": "completed",
        "never": "skipped",
        "nap": "completed",
        "broken": "failed",
    }
    shaky = run["steps"][1]
    assert (shaky["attempt"], shaky["max_attempts"]) == (2, 2)
    assert [line["message"] for line in shaky["logs"]] == ["one", "two", "one", "two"]
    metrics = run["metrics"]
    assert metrics["queue_ms"] >= 0
    assert metrics["duration_ms"] >= 0
    assert {name: count for name, count in metrics.items() if name.startswith(("steps", "retries"))} == {
        "steps_total": 6,
        "steps_completed": 4,
        "steps_failed": 1,
        "steps_skipped": 1,
        "retries": 1,
    }


def test_every_event_fits_its_schema(client, project, drain):
    workflow = factories.make_workflow(project=project, definition=DEFINITION)
    started = client.post(f"/v1/workflows/{workflow.id}:run", {"inputs": {"n": 21}}).expect(202)
    drain()
    cancelled = client.post(f"/v1/workflows/{workflow.id}:run", {"inputs": {"n": 21}}).expect(202)
    client.post(f"{cancelled.headers['Location']}:cancel").expect(202)
    drain()

    seen = set()
    for run in (started, cancelled):
        history = client.get(f"{run.headers['Location']}/events", limit=1000).expect(200).data
        assert [event["seq"] for event in history] == list(range(1, len(history) + 1))
        for event in history:
            kind = RUN_EVENTS[event["event"]]
            assert compile_schema(kind.schema).faults(event["data"]) == [], event
            assert ("step_id" in event) == kind.of_step
            seen.add(event["event"])

    assert seen >= {
        *("run.created", "run.started", "run.failed", "run.cancelled"),
        *("step.started", "step.completed", "step.retrying", "step.skipped", "step.failed", "step.cancelled"),
        "step.log",
    }


def test_a_paused_run_begins_no_step_until_it_is_resumed(client, project, drain):
    workflow = factories.make_workflow(project=project, definition=DEFINITION)
    place = client.post(f"/v1/workflows/{workflow.id}:run", {"inputs": {"n": 1}}).headers["Location"]
    client.post(f"{place}:pause").expect(202)
    drain()
    assert client.get(place).data["status"] == "paused"
    assert {step["status"] for step in client.get(place).data["steps"]} == {"pending"}

    client.post(f"{place}:resume").expect(202)
    drain()

    assert client.get(place).data["status"] == "failed"
