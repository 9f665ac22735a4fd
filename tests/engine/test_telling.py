"""Deliveries of what the engine does: in the very transaction, once, in order; nothing is paid where nobody listens."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flowforge.core.jsonschema import compile_schema
from flowforge.events.outbound import TOLD
from flowforge.projects.models import Project
from tests.apps.webhooks.conftest import make_subscription
from tests.engine.conftest import Flow, chain, effect
from webhooks import subscribed
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db
MakeFlow = Callable[..., Flow]


@pytest.fixture(autouse=True)
def _listening(settings: Any) -> None:
    settings.EVENT_SINKS = ["webhooks.sink.Outbox"]
    subscribed.forget()


def told() -> list[str]:
    return list(Delivery.objects.order_by("created_at", "id").values_list("event", flat=True))


def test_it_works(flow: MakeFlow, project: Project) -> None:
    make_subscription(project, events=["workflow.*", "task.*"])
    run = flow(chain(effect("a"), effect("b"))).run()
    assert run.status == "completed"
    assert told() == [
        *("workflow.created", "workflow.started"),
        *("task.started", "task.completed", "task.started", "task.completed"),
        "workflow.completed",
    ]
    for delivery in Delivery.objects.all():
        body = json.loads(delivery.body)
        assert compile_schema(TOLD[delivery.event].schema).faults(body["data"]) == []
        assert body["data"]["run_id"] == str(run.pk)


def test_steps_of_workers_are_told(flow: MakeFlow, project: Project) -> None:
    """Several at once: they are claimed and settled outside of the driver."""
    make_subscription(project, events=["task.*"])
    flow(nodes=[effect("a"), effect("b"), effect("c")]).run()
    assert sorted(told()) == ["task.completed"] * 3 + ["task.started"] * 3


def test_failures_and_retries_are_told(flow: MakeFlow, project: Project) -> None:
    make_subscription(project, events=["workflow.failed", "task.failed", "task.retrying"])
    failing = effect("a", fail_times=9) | {"retry": {"max_attempts": 2, "initial_delay": 0}}
    run = flow(nodes=[failing]).run()
    assert run.status == "failed"
    assert told() == ["task.retrying", "task.failed", "workflow.failed"]
    assert json.loads(Delivery.objects.get(event="workflow.failed").body)["data"]["error"]["step"] == "a"


def test_an_approval_is_asked_for(flow: MakeFlow, project: Project) -> None:
    make_subscription(project, events=["approval.requested"])
    flow(nodes=[{"id": "ok", "type": "approval", "config": {"title": "Sure?"}}]).run()
    data = json.loads(Delivery.objects.get().body)["data"]
    assert (data["node_id"], data["status"]) == ("ok", "waiting")


@pytest.mark.django_db(transaction=True)
def test_it_is_told_within_the_transaction(flow: MakeFlow, project: Project, monkeypatch: Any) -> None:
    make_subscription(project)
    seen = []

    def take(project_id: Any, happenings: Any) -> None:
        seen.append(connection.in_atomic_block)

    monkeypatch.setattr("flowforge.events.sinks.tell", take)
    flow(nodes=[effect("a"), effect("b")]).run()
    assert seen
    assert all(seen)


def test_nothing_is_paid_where_nobody_listens(flow: MakeFlow, project: Project, settings: Any) -> None:
    made = flow(chain(effect("a"), effect("b"), effect("c")))

    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            made.run()
        return len(queries)

    statements()  # plans are read once
    listening = statements()
    settings.EVENT_SINKS = []
    assert statements() == listening
    settings.EVENT_SINKS = ["webhooks.sink.Outbox"]
    make_subscription(project, events=["order.paid"])
    statements()
    assert statements() == listening
