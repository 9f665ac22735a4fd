"""GET /v1/events/{id}/decisions: what became of an event."""

import pytest

from flowforge.core import clock
from flowforge.core.ids import new_id
from runs.models import StepRun
from runs.services import publish_event
from tests import factories
from workflows.models import TriggerDecision

pytestmark = pytest.mark.django_db

MATCH = "{{ payload.n > 1 }}"
DEFINITION = {
    "nodes": [{"id": "wait", "type": "wait_event", "config": {"event": "paid", "match": MATCH}}],
    "edges": [],
}


@pytest.fixture
def waiting(project):
    """A step that waits for `paid`, with n over 1."""

    def make():
        workflow = factories.make_workflow(project=project, definition=DEFINITION)
        return factories.make_step(
            run=factories.make_run(workflow=workflow, status="waiting", wake_at=None),
            node_id="wait",
            status="waiting",
            waits_for="event:paid",
            started_at=clock.now(),
            then={"status": "failed", "asks": {"match": MATCH}},
        )

    return make


@pytest.fixture
def publish(client):
    """Publish `paid`; where its decisions are."""

    def call(**body):
        answer = client.post("/v1/events", {"event": "paid", "payload": {"n": 2}, **body})
        return f"/v1/events/{answer.data['id']}/decisions"

    return call


def told(client, path):
    return [(row["decision"], row["reason"], row["run_id"]) for row in client.get(path).expect(200).data]


def test_it_works(client, waiting, publish):
    steps = [waiting(), waiting()]
    path = publish()
    assert set(told(client, path)) == {("fired", "matched", str(step.run_id)) for step in steps}
    assert {row["detail"] for row in client.get(path).data} == {f"step {step.pk}" for step in steps}
    page = client.get(path, limit=1).expect(200)
    assert len(page.data) == 1
    assert page.json["meta"]["has_more"]


@pytest.mark.parametrize(
    ("waits", "payload", "reason"),
    [(False, {"n": 2}, "nobody_waited"), (True, {"n": 1}, "no_match"), (True, {"n": "two"}, "unclear_match")],
)
def test_one_that_wakes_nobody_says_why(client, waiting, publish, waits, payload, reason):
    if waits:
        waiting()
    assert told(client, publish(payload=payload)) == [("skipped", reason, None)]


def test_a_repeat_is_coalesced(client, waiting, publish):
    step = waiting()
    path = publish(dedupe_key="k")
    assert publish(dedupe_key="k") == path
    assert told(client, path) == [("coalesced", "same_key", None), ("fired", "matched", str(step.run_id))]


def test_it_rejects_those_who_may_not(client_with, stranger, anonymous, client, publish):
    path = publish()
    client_with("runs:read").get(path).expect(200)
    client_with("schedules:read").get(path).expect(403)
    anonymous.get(path).expect(401)
    stranger.get(path).expect(404)
    client.get(f"/v1/events/{new_id()}/decisions").expect(404)


def test_a_step_is_not_ended_without_its_decision(project, waiting, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("the ledger")

    step = waiting()
    monkeypatch.setattr("runs.services.event_ledger.record_decisions", fail)
    with pytest.raises(RuntimeError, match="the ledger"):
        publish_event(project_id=project.pk, name="paid", payload={"n": 2}, source="test")
    assert StepRun.objects.get(pk=step.pk).resolution is None
    assert not TriggerDecision.objects.exists()


def test_the_list_costs_as_many_queries_for_many(client, waiting, publish, query_counter):
    costs = []
    for count in (1, 4):
        for _ in range(count):
            waiting()
        path = publish()
        with query_counter() as queries:
            assert len(client.get(path).expect(200).data) == count
        costs.append(len(queries))
    assert costs[0] == costs[1] <= 4
