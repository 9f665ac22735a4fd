"""Those who end a step at the same moment: one of them does, on every database."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.db.models import Q

from flowforge.api.caller import Caller
from flowforge.core.errors import Conflict
from flowforge.engine import driver, worker
from flowforge.events.models import Event
from flowforge.projects.models import Project
from flowforge.steps import verdicts
from flowforge.steps.approval import Decision, decided
from runs.models import Run
from runs.selectors import read_run
from runs.services import complete_step, decide_approval, override_step
from runs.services.outside import resolve_step
from runs.services.publishing import Publication, publish_event
from tests.engine.conftest import Flow, effect, events, fresh, statuses, step
from tests.support.clock import FrozenClock
from tests.support.step_types import Effect

pytestmark = pytest.mark.django_db(transaction=True)
MakeFlow = Callable[..., Flow]
TOO_LATE = "too late"


@pytest.fixture
def caller(project: Project) -> Caller:
    return Caller(kind="key", id="k", name="ops", grants={project.pk: frozenset({"runs:write"})})


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each call gives; they begin together, each with a connection of its own."""
    barrier = threading.Barrier(len(calls))

    def one(call: Callable[[], Any]) -> Any:
        try:
            connection.ensure_connection()
            barrier.wait(60)
            return call()
        except Conflict:
            return TOO_LATE
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(one, calls))


def decide(run: Run, decision: Any, caller: Caller) -> Callable[[], str]:
    row = read_run(run.pk)
    assert row is not None

    def call() -> str:
        decide_approval(run=row, step_id=step_id, decision=decision, caller=caller)
        return str(decision)

    step_id = step(run, "review").pk
    return call


def gate(labels: Sequence[str] = ("approved", "rejected", "expired"), **config: Any) -> dict[str, Any]:
    """An approval, and for each end of it a step that says so."""
    ends = [{"id": label, "type": "transform", "config": {"values": {}}} for label in labels]
    return {
        "nodes": [{"id": "review", "type": "approval", "config": config}, *ends],
        "edges": [{"source": "review", "target": label, "when": label} for label in labels],
    }


def ends_of(run: Run) -> list[str]:
    return sorted(node for node, status in statuses(run).items() if status == "completed" and node != "review")


def test_it_works_for_one_of_twenty_approvers(flow: MakeFlow, caller: Caller) -> None:
    made = flow(gate())
    run = made.run()
    answers = at_once([decide(run, "approved", caller)] * 20)
    made.drain()
    assert Counter(answers) == {"approved": 1, TOO_LATE: 19}
    assert events(run, "review") == ["step.started", "step.waiting", "step.completed"]
    assert fresh(run).status == "completed"


@pytest.mark.parametrize("attempt", range(5))
def test_approval_rejection_and_timeout_have_one_winner(
    flow: MakeFlow, frozen_clock: FrozenClock, attempt: int
) -> None:
    """Those who decide have looked at the clock just before the end, the driver looks at it just after."""
    made = flow(gate(timeout="1h"))
    run = made.run()
    frozen_clock.advance(3601)
    review = step(run, "review").pk

    def resolve(decision: Decision) -> Callable[[], str | None]:
        resolution = verdicts.stored(decided(decision, by="ops", data={}))
        found = {"run_id": run.pk, "step_id": review, "only": Q(status="waiting"), "resolution": resolution}
        return lambda: decision if resolve_step(**found) else None

    answers = at_once([resolve("approved"), lambda: driver.drive(run.pk), resolve("rejected")])
    driver.drive(run.pk)
    made.drain()
    winners = [answer for answer in answers if answer is not None] or ["expired"]
    assert len(winners) == 1
    assert ends_of(run) == winners
    assert step(run, "review").output["decision"] == winners[0]
    assert events(run, "review").count("step.completed") == 1
    assert fresh(run).status == "completed"


def test_a_forced_result_and_a_worker_that_claims_have_one_winner(flow: MakeFlow, caller: Caller) -> None:
    made = flow(nodes=[effect("a"), effect("b")])
    run = made.start()
    driver.drive(run.pk)
    row, target = read_run(run.pk), step(run, "a").pk
    assert row is not None

    def force() -> str:
        override_step(run=row, step_id=target, output="forced", reason="race", caller=caller)
        return "forced"

    forced, _ = at_once([force, lambda: worker.work(run.pk, "default")])
    made.drain()
    assert fresh(run).status == "completed"
    assert step(run, "a").output == ("forced" if forced == "forced" else None)
    assert events(run, "a").count("step.completed") == 1
    assert ("a" in Effect.order) is (forced == TOO_LATE)


def test_outputs_from_outside_and_events_have_one_winner(flow: MakeFlow, caller: Caller) -> None:
    made = flow(nodes=[{"id": "wait", "type": "wait_event", "config": {"event": "paid"}}])
    run = made.run()
    row, target = read_run(run.pk), step(run, "wait").pk
    assert row is not None

    def complete() -> int:
        complete_step(run=row, step_id=target, output={"by": "hand"}, caller=caller)
        return 1

    def publish() -> int:
        return publish_event(project_id=run.project_id, name="paid", payload={"by": "event"}, source="test").matched

    answers = at_once([complete, publish, complete, publish])
    made.drain()
    assert sum(answer for answer in answers if answer != TOO_LATE) == 1
    assert fresh(run).status == "completed"
    assert events(run, "wait").count("step.completed") == 1


def test_an_event_that_is_sent_twice_is_one(flow: MakeFlow, project: Project) -> None:
    made = flow(nodes=[{"id": "wait", "type": "wait_event", "config": {"event": "paid"}}])
    runs = [made.run() for _ in range(3)]

    def publish() -> Publication:
        return publish_event(project_id=project.pk, name="paid", payload={}, source="test", dedupe_key="api:k")

    answers = at_once([publish] * 8)
    made.drain()
    assert Event.objects.count() == 1
    assert {answer.event.pk for answer in answers} == {Event.objects.get().pk}
    assert sum(answer.created for answer in answers) == 1
    assert Event.objects.get().matched_count == 3
    assert [events(run, "wait").count("step.completed") for run in runs] == [1, 1, 1]


def test_waits_and_events_that_cross_meet(flow: MakeFlow, project: Project) -> None:
    """Every run reaches its step while events come: none of those that came after is lost."""
    made = flow(nodes=[{"id": "wait", "type": "wait_event", "config": {"event": "paid"}}])
    runs = [made.start() for _ in range(6)]

    def publish() -> None:
        publish_event(project_id=project.pk, name="paid", payload={}, source="test")

    at_once([*(partial(driver.drive, run.pk) for run in runs), publish, publish])
    made.drain()
    last = Event.objects.order_by("created_at").last()
    assert last is not None
    for run in runs:
        began = step(run, "wait").started_at
        assert began is not None
        expected = "completed" if began <= last.created_at else fresh(run).status
        assert fresh(run).status == expected
        assert events(run, "wait").count("step.completed") == (fresh(run).status == "completed")
