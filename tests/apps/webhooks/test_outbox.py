"""Which events become deliveries, in whose transaction, under which name, with which body."""

import json

import pytest
from django.db import transaction

from flowforge.core.ids import new_id
from flowforge.core.jsonschema import compile_schema
from flowforge.events import sinks
from flowforge.events.outbound import TOLD
from flowforge.events.sinks import Happening
from runs.services import publish_event, retry_run, start_run
from tests import factories
from tests.apps.webhooks.conftest import make_subscription
from webhooks import subscribed
from webhooks.models import Delivery

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("listening")]


def start(workflow, **more):
    return start_run(workflow=workflow, inputs={}, caller_actor="test", **more).run


def told() -> list[str]:
    return list(Delivery.objects.order_by("created_at", "id").values_list("event", flat=True))


def test_it_works(subscription, workflow):
    run = start(workflow)
    delivery = Delivery.objects.get()
    body = json.loads(delivery.body)
    assert (delivery.event, delivery.status, delivery.subscription_id) == (
        "workflow.created",
        "pending",
        subscription.pk,
    )
    assert body["event"] == "workflow.created"
    assert body["timestamp"].endswith("Z")
    assert body["data"] == {
        "workflow_id": str(workflow.pk),
        "workflow_name": workflow.name,
        "run_id": str(run.pk),
        "project_id": str(workflow.project_id),
        "status": "pending",
        "trigger": {"type": "api", "id": None},
    }
    assert compile_schema(TOLD["workflow.created"].schema).faults(body["data"]) == []


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["*"], ["workflow.created"]),
        (["workflow.*"], ["workflow.created"]),
        (["run.*"], ["run.created"]),
        (["run.*", "workflow.created"], ["workflow.created"]),
        (["run.created"], ["run.created"]),
        (["workflow.completed", "order.*"], []),
    ],
)
def test_a_transition_is_told_once_under_the_name_that_was_asked_for(project, workflow, patterns, expected):
    make_subscription(project, events=patterns)
    start(workflow)
    assert told() == expected


def test_what_is_published_has_its_own_name(subscription, project):
    publish_event(project_id=project.pk, name="order.paid", payload={"n": 1}, source="test", dedupe_key="k")
    publish_event(project_id=project.pk, name="order.paid", payload={"n": 2}, source="test", dedupe_key="k")
    body = json.loads(Delivery.objects.get().body)
    assert (body["event"], body["data"]) == ("order.paid", {"n": 1})


def test_others_hear_nothing(project, other_project, workflow):
    make_subscription(other_project)
    make_subscription(project, enabled=False)
    make_subscription(project, workflow=factories.make_workflow(project=project))
    start(workflow)
    assert told() == []


def test_a_subscription_to_a_workflow_hears_of_its_runs_alone(project, workflow):
    make_subscription(project, workflow=workflow)
    start(workflow)
    publish_event(project_id=project.pk, name="order.paid", payload={}, source="test")
    assert told() == ["workflow.created"]


def test_each_subscription_has_its_own_delivery(project, workflow):
    for _ in range(3):
        make_subscription(project)
    start(workflow)
    assert Delivery.objects.values("subscription_id").distinct().count() == 3


def test_a_change_that_is_undone_is_not_told(subscription, workflow):
    with transaction.atomic():
        start(workflow)
        transaction.set_rollback(True)
    assert told() == []


def test_a_retry_is_told(subscription, workflow):
    run = factories.make_run(workflow=workflow, status="failed", event_seq=1)
    retry_run(run_id=run.pk, caller_actor="test")
    assert told() == ["run.retried"]


def test_a_sink_that_fails_undoes_nothing(subscription, workflow, monkeypatch, caplog):
    monkeypatch.setattr("webhooks.sink.add_deliveries", lambda **_: 1 / 0)
    run = start(workflow)
    run.refresh_from_db()
    assert told() == []
    assert "has not taken" in caplog.text


def test_a_subscription_that_is_deleted_meanwhile_undoes_nothing(subscription, workflow):
    """Another process does not know of it for a second."""
    subscribed.of_project(workflow.project_id)
    type(subscription).objects.all().delete()
    assert start(workflow).pk is not None
    Delivery.objects.all().delete()


def test_steps_are_told_with_their_names(subscription, project):
    definition = {"nodes": [{"id": "load", "name": "Load rows", "type": "transform", "config": {"values": {}}}]}
    workflow = factories.make_workflow(project=project, definition={**definition, "edges": []})
    version_id = workflow.versions.get().pk
    source = sinks.Source(run_id=new_id(), workflow_id=workflow.pk, version_id=version_id)
    asked = {"node_id": "load", "attempt": 1, "waits_for": "approval", "until": None}
    from_history = [
        ("step.started", {"node_id": "load", "attempt": 1, "worker": "a"}),
        ("step.waiting", asked),
        ("step.waiting", {**asked, "waits_for": "time"}),
        ("step.log", {"node_id": "load", "level": "info", "message": "x"}),
    ]
    sinks.tell(
        project.pk,
        [
            Happening(event=name, at=workflow.created_at, data=data, step_id=new_id(), source=source)
            for name, data in from_history
        ],
    )
    assert told() == ["task.started", "approval.requested", "step.waiting"]
    for delivery in Delivery.objects.all():
        data = json.loads(delivery.body)["data"]
        assert compile_schema(TOLD[delivery.event].schema).faults(data) == []
        assert (data["task_name"], data["type"], "worker" in data) == ("Load rows", "transform", False)


def test_nothing_is_paid_where_nobody_listens(workflow, own_queries, settings, bell):
    start(workflow)
    with own_queries:
        start(workflow)
    listening = len(own_queries.statements)
    settings.EVENT_SINKS = []
    with own_queries:
        start(workflow)
    assert listening == len(own_queries.statements)


def test_one_statement_is_paid_where_somebody_does(subscription, workflow, own_queries, bell):
    start(workflow)
    with own_queries:
        start(workflow)
    written = [sql for sql in own_queries.statements if "webhooks_" in sql]
    assert len(written) == 1, own_queries.statements


def test_the_bell_is_rung_once_it_is_on_disk(subscription, workflow, monkeypatch, django_capture_on_commit_callbacks):
    rung = []
    monkeypatch.setattr("flowforge.core.bell._deliverers", [lambda: rung.append(Delivery.objects.count())])
    with django_capture_on_commit_callbacks(execute=True):
        start(workflow)
        assert rung == []
    assert rung == [1]


# --- names --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["run.completed", "workflow.x", "task.", "approval.requested", "alert.y", "step.z"])
def test_it_rejects_publishing_in_a_reserved_namespace(client, name):
    assert client.post("/v1/events", {"event": name}).expect(422).pointers == {"/event": "reserved_event"}


@pytest.mark.parametrize("name", ["running.x", "run", "workflow", "x.run.completed", "runs.completed"])
def test_other_names_may_be_published(client, name):
    client.post("/v1/events", {"event": name}).expect(202)
