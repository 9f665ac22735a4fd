"""`/v1/event-triggers`: events that start runs."""

from typing import Any

import pytest
from django.db import DatabaseError

from flowforge.core import failpoints
from flowforge.core.ids import new_id
from flowforge.events.models import Event
from flowforge.events.services import record_event
from flowforge.projects.models import Project
from flowforge.triggers.models import EventTrigger
from runs.models import Run
from runs.services import event_starts, publish_event
from runs.services.publishing import resume_matching
from tests import factories
from workflows.models import TriggerDecision, Workflow

pytestmark = pytest.mark.django_db

INPUTS = {"type": "object", "required": ["order"], "properties": {"order": {"type": "string"}}}


@pytest.fixture(autouse=True)
def _no_broker(bell: object) -> None:
    """No run that is started here reaches a broker."""


@pytest.fixture
def workflow(project):
    definition = {"nodes": [], "edges": [], "input_schema": INPUTS}
    return factories.make_workflow(project=project, definition=definition)


@pytest.fixture
def trigger(client, workflow):
    """`trigger(match="…")`: where the new one is."""

    def make(**fields: Any) -> str:
        body = {"name": "ship", "workflow_id": str(workflow.pk), "event": "order.paid", **fields}
        location: str = client.post("/v1/event-triggers", body).expect(201).headers["Location"]
        return location

    return make


@pytest.fixture
def publish(client):
    def call(event: str = "order.paid", **payload: Any) -> Any:
        return client.post("/v1/events", {"event": event, "payload": payload}).expect(202).data

    return call


def told(client, path: str) -> list[tuple[str, str, str | None]]:
    rows = client.get(f"{path}/decisions").expect(200).data
    return [(row["decision"], row["reason"], row["run_id"]) for row in rows]


def test_it_works(client, trigger, publish, workflow):
    path = trigger(match="payload.total > 10", input_mapping={"order": "{{ payload.id }}"})
    assert publish(id="A-1", total=5)["started"] == 0
    said = publish(id="A-2", total=50)
    run = Run.objects.get()
    assert (said["started"], said["run_ids"], said["matched"]) == (1, [str(run.pk)], 0)
    assert (run.workflow_id, run.inputs) == (workflow.pk, {"order": "A-2"})
    assert run.metadata == {"event_id": said["id"], "event": "order.paid"}
    shown = client.get(path).expect(200).data
    assert client.get(f"/v1/runs/{run.pk}").data["trigger"] == {"type": "event", "id": shown["id"]}
    assert shown["last_fired_at"] is not None
    assert told(client, path) == [("fired", "matched", str(run.pk)), ("skipped", "filtered", None)]
    assert told(client, f"/v1/events/{said['id']}") == [("fired", "triggered", str(run.pk))]
    assert client.get(f"/v1/events/{said['id']}").data["started"] == 1


def test_without_rules_the_payload_is_the_inputs(trigger, publish):
    trigger()
    assert publish(order="A-1")["started"] == 1
    assert Run.objects.get().inputs == {"order": "A-1"}


@pytest.mark.parametrize(
    ("event", "heard"),
    [
        ("order.paid", True),
        ("order.*", True),
        ("or*", True),
        ("*", True),
        ("order.paid*", True),
        ("order", False),
        ("order.paid.late", False),
        ("paid", False),
        ("orders*", False),
    ],
)
def test_names_and_patterns(trigger, publish, event, heard):
    trigger(event=event)
    assert publish(order="A-1")["started"] == int(heard)


def test_each_trigger_starts_its_own(client, trigger, publish):
    paths = [trigger(name="a"), trigger(name="b", event="order.*")]
    said = publish(order="A-1")
    assert said["started"] == 2
    assert {Run.objects.get(pk=told(client, path)[0][2]).trigger_id for path in paths} == {
        path.rsplit("/", 1)[1] for path in paths
    }


@pytest.mark.parametrize(
    ("rules", "payload", "decision", "reason"),
    [
        ({"match": "payload.total > 10"}, {"order": "A"}, "skipped", "undefined"),
        ({"match": "payload.total > 10"}, {"order": "A", "total": "many"}, "rejected", "unmappable"),
        ({"input_mapping": {"order": "{{ payload.id + 1 }}"}}, {"id": "A"}, "rejected", "unmappable"),
        ({}, {"order": 1}, "rejected", "invalid_inputs"),
        ({"dedupe": "payload.id + 1"}, {"order": "A", "id": "B"}, "rejected", "unmappable"),
    ],
)
def test_one_that_starts_nothing_says_why(client, trigger, publish, rules, payload, decision, reason):
    path, other = trigger(**rules), trigger(name="other", event="order.*", input_mapping={"order": "fixed"})
    assert publish(**payload)["started"] == 1  # a trigger hinders no other
    assert told(client, path) == [(decision, reason, None)]
    assert told(client, other)[0][:2] == ("fired", "matched")


def test_an_event_that_starts_nothing_says_so(client, trigger, publish):
    trigger(match="false")
    event = publish(order="A")
    assert told(client, f"/v1/events/{event['id']}") == [("skipped", "no_match", None)]
    Workflow.objects.update(status="archived")
    EventTrigger.objects.update(match=None)
    event = publish(order="A")
    assert told(client, f"/v1/events/{event['id']}") == [("rejected", "workflow_archived", None)]


def test_a_paused_workflow_and_a_disabled_trigger_start_nothing(client, trigger, publish, workflow):
    path = trigger()
    Workflow.objects.update(status="paused")
    assert publish(order="A")["started"] == 0
    assert told(client, path) == [("skipped", "workflow_paused", None)]
    Workflow.objects.update(status="active")
    client.patch(path, {"enabled": False}).expect(200)
    assert publish(order="A")["started"] == 0
    assert len(told(client, path)) == 1


def test_dedupe_makes_one_run_of_several_events(client, trigger, publish):
    path = trigger(dedupe="payload.order")
    assert [publish(order=order)["started"] for order in ("A", "A", "B")] == [1, 0, 1]
    assert [row[:2] for row in told(client, path)] == [
        ("fired", "matched"),
        ("coalesced", "same_key"),
        ("fired", "matched"),
    ]


def test_the_same_event_again_starts_nothing(client, trigger):
    path = trigger()
    body = {"event": "order.paid", "payload": {"order": "A"}, "dedupe_key": "k"}
    first = client.post("/v1/events", body).expect(202).data
    again = client.post("/v1/events", body).expect(200).data
    assert (again["started"], again["run_ids"]) == (1, first["run_ids"])
    assert Run.objects.count() == len(told(client, path)) == 1


def test_events_before_it_and_of_other_projects_are_none_of_its(trigger, publish, other_project, frozen_clock):
    event = record_event(
        project_id=Project.objects.exclude(pk=other_project.pk).get().pk, name="order.paid", payload={}, source="test"
    ).event
    frozen_clock.advance(1)
    trigger()
    publish_event(project_id=other_project.pk, name="order.paid", payload={"order": "A"}, source="test")
    frozen_clock.advance(60)
    assert resume_matching(frozen_clock.now()) == 1
    event.refresh_from_db()
    assert (event.started_count, Run.objects.count()) == (0, 0)


def test_a_payload_is_never_a_template(trigger, publish):
    trigger()
    publish(order="{{ 7 * 7 }}")
    assert Run.objects.get().inputs == {"order": "{{ 7 * 7 }}"}


def test_a_publisher_that_dies_is_followed_by_one_that_does_it_once(client, trigger, project, frozen_clock):
    path, skipping = trigger(), trigger(name="skips", match="false")
    failpoints.configure("event.after_store:1:raise:1")
    try:
        with pytest.raises(failpoints.FailpointError):
            publish_event(project_id=project.pk, name="order.paid", payload={"order": "A"}, source="test")
    finally:
        failpoints.configure("")
    frozen_clock.advance(11)
    assert resume_matching(frozen_clock.now()) == 1
    assert resume_matching(frozen_clock.now()) == 0
    assert [len(told(client, each)) for each in (path, skipping)] == [1, 1]
    assert (Run.objects.count(), Event.objects.get().started_count) == (1, 1)


def test_one_that_died_between_two_triggers_decides_on_the_second_alone(
    client, trigger, project, frozen_clock, monkeypatch
):
    paths = [trigger(name="a"), trigger(name="b", match="false"), trigger(name="c")]

    def away(*args: Any, **kwargs: Any) -> Any:
        raise DatabaseError("away")

    last = EventTrigger.objects.get(name="c").pk
    with monkeypatch.context() as broken:
        decide = event_starts._decide
        broken.setattr(
            event_starts, "_decide", lambda event, row, by: (away if row.pk == last else decide)(event, row, by)
        )
        with pytest.raises(DatabaseError):
            publish_event(project_id=project.pk, name="order.paid", payload={"order": "A"}, source="test")
    assert Run.objects.count() == 1
    frozen_clock.advance(11)
    assert resume_matching(frozen_clock.now()) == 1
    assert [len(told(client, path)) for path in paths] == [1, 1, 1]
    assert (Run.objects.count(), Event.objects.get().started_count) == (2, 2)


def test_a_fault_of_ours_is_noted_and_hinders_no_other(client, trigger, publish, monkeypatch):
    bad, good = trigger(name="bad"), trigger(name="good")
    decide, broken = event_starts._decide, EventTrigger.objects.get(name="bad").pk

    def fail(event: Any, row: EventTrigger, by: Any) -> Any:
        return {}["nothing"] if row.pk == broken else decide(event, row, by)

    monkeypatch.setattr(event_starts, "_decide", fail)
    assert publish(order="A")["started"] == 1
    assert told(client, bad) == [("rejected", "error", None)]
    assert told(client, good)[0][0] == "fired"


def test_of_two_who_do_it_at_once_one_starts_the_run(client, trigger, project, monkeypatch):
    """Somebody else was faster between our look and the run's insertion: its key decides."""
    path = trigger()
    looks = iter([False, True])
    event = publish_event(project_id=project.pk, name="order.paid", payload={"order": "A"}, source="test").event
    monkeypatch.setattr(event_starts, "_is_started", lambda *_: next(looks))
    event_starts.start_triggered(event=event, again=False)
    assert (Run.objects.count(), len(told(client, path))) == (1, 1)


def test_a_run_is_not_started_without_its_decision(trigger, project, monkeypatch):
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise DatabaseError("the ledger")

    trigger()
    monkeypatch.setattr("runs.services.event_starts.record_decisions", fail)
    with pytest.raises(DatabaseError, match="the ledger"):
        publish_event(project_id=project.pk, name="order.paid", payload={"order": "A"}, source="test")
    assert (Run.objects.count(), TriggerDecision.objects.count()) == (0, 0)


def test_nothing_is_paid_where_nobody_asks(client, trigger, project, query_counter):
    costs = []
    for count in (0, 5):
        for number in range(count):
            trigger(name=f"n{number}", event=f"other{number}")
        with query_counter() as queries:
            publish_event(project_id=project.pk, name="order.paid", payload={}, source="test")
        costs.append(len(queries))
    assert costs[0] == costs[1]


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        ({"event": "workflow.completed"}, {"/event": "never_published"}),
        ({"event": "run.*"}, {"/event": "never_published"}),
        ({"event": "credential.unknown"}, {"/event": "never_published"}),
        ({"event": "a b"}, {"/event": "invalid"}),
        ({"event": "a*b"}, {"/event": "invalid"}),
        ({"match": "payload.("}, {"/match": "expression_syntax"}),
        ({"match": "steps.a.output"}, {"/match": "unknown_name"}),
        ({"input_mapping": {"a": "{{ headers.x }}"}}, {"/input_mapping": "unknown_name"}),
        ({"input_mapping": 3}, {"/input_mapping": "not_a_mapping"}),
        ({"dedupe": "credentials.a"}, {"/dedupe": "unknown_name"}),
        ({"workflow_id": str(new_id())}, {"/workflow_id": "not_found"}),
        ({"secret": "x"}, {"/secret": "unknown_field"}),
    ],
)
def test_it_rejects_a_bad_body(client, workflow, change, faults):
    body = {"name": "ship", "workflow_id": str(workflow.pk), "event": "order.paid", **change}
    assert client.post("/v1/event-triggers", body).expect(422).pointers == faults


@pytest.mark.parametrize("event", ["alert.triggered", "credential.*", "subscription.disabled"])
def test_what_flowforge_publishes_can_be_asked_for(trigger, event):
    assert trigger(event=event).startswith("/v1/event-triggers/")


def test_it_rejects_another_projects_workflow(client, trigger, other_project):
    foreign = str(factories.make_workflow(project=other_project).pk)
    body = {"name": "ship", "workflow_id": foreign, "event": "x"}
    assert client.post("/v1/event-triggers", body).expect(422).pointers == {"/workflow_id": "not_found"}
    client.patch(trigger(), {"workflow_id": foreign}).expect(422)


def test_it_is_changed_and_removed(client, trigger, publish, workflow):
    path = trigger(match="false", dedupe="payload.order")
    tag = client.get(path).headers["ETag"]
    EventTrigger.objects.update(last_fired_at=workflow.created_at)
    changed = client.patch(path, {"match": None}, headers={"If-Match": tag}).expect(200).data  # firing is no edit
    assert (changed["match"], changed["dedupe"]) == (None, "payload.order")
    client.patch(path, {"name": "x"}, headers={"If-Match": tag}).expect(412)
    assert publish(order="A")["started"] == 1
    client.delete(path).expect(204)
    client.get(path).expect(404)
    assert (publish(order="B")["started"], Run.objects.count()) == (0, 1)


def test_lists_and_filters(client, trigger, workflow, query_counter):
    for number in range(3):
        trigger(name=f"n{number}", event=f"e{number}")
    listing = "/v1/event-triggers"
    assert [row["name"] for row in client.get(listing).data] == ["n2", "n1", "n0"]
    assert [row["name"] for row in client.get(listing, event="e1").data] == ["n1"]
    assert client.get(listing, enabled="false").data == []
    assert len(client.get(listing, workflow_id=str(workflow.pk)).data) == 3
    client.get(listing, workflow_id=str(new_id())).expect(404)


def test_an_idempotency_key_makes_one(client, workflow):
    body = {"name": "ship", "workflow_id": str(workflow.pk), "event": "x"}
    answers = [client.post("/v1/event-triggers", body, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert answers[0].data == answers[1].data
    assert EventTrigger.objects.count() == 1


def test_it_rejects_those_who_may_not(client, client_with, client_as, stranger, anonymous, trigger, workflow):
    path = trigger()
    body = {"name": "ship", "workflow_id": str(workflow.pk), "event": "x"}
    client_with("webhooks:read").get(path).expect(200)
    client_with("webhooks:read").post("/v1/event-triggers", body).expect(403)
    client_with("runs:write").get(f"{path}/decisions").expect(403)
    client_as("viewer").delete(path).expect(403)
    client_as("editor").post("/v1/event-triggers", body).expect(201)
    anonymous.get(path).expect(401)
    stranger.get(path).expect(404)
    stranger.get(f"{path}/decisions").expect(404)
