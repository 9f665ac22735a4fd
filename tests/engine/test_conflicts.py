"""`on_conflict`: what becomes of a run whose concurrency key has no place for it."""

from collections.abc import Callable
from typing import Any

import pytest

from flowforge.core import clock
from flowforge.engine import timers
from runs.models import Run
from runs.services import Origin, StartItem, start_runs
from runs.services.conflicts import ConcurrencyConflict
from tests import factories
from tests.engine.conftest import Flow, chain, effect, fresh, step
from tests.support import invariants

pytestmark = pytest.mark.django_db
MakeFlow = Callable[..., Flow]

WAIT = {"id": "wait", "type": "wait_event", "config": {"event": "go"}}


def rule(on_conflict: str, limit: int = 1) -> dict[str, Any]:
    return {"concurrency": {"key": "{{ inputs.customer }}", "limit": limit, "on_conflict": on_conflict}}


def batch(made: Flow, *customers: str) -> list[Any]:
    items = [StartItem(inputs={"customer": name}) for name in customers]
    return start_runs(workflow=made.workflow, items=items, origin=Origin(actor="test"))


def test_it_works(flow: MakeFlow) -> None:
    """A key that is taken: the start is refused, and told who has the place."""
    made = flow(nodes=[WAIT], config=rule("reject"))
    holder = made.start(customer="acme")
    made.start(customer="moe")
    with pytest.raises(ConcurrencyConflict) as refused:
        made.start(customer="acme")
    assert refused.value.extra == {"holder": {"type": "run", "id": str(holder.pk)}}
    assert "acme" in refused.value.detail
    assert Run.objects.count() == 2
    Run.objects.filter(pk=holder.pk).update(cancel_requested_at=clock.now())
    made.drain()
    assert fresh(holder).status == "cancelled"
    made.start(customer="acme")


def test_items_of_a_batch_are_refused_one_by_one(flow: MakeFlow) -> None:
    made = flow(nodes=[WAIT], config=rule("reject", limit=2))
    answers = batch(made, "acme", "moe", "acme", "acme")
    kinds = [type(answer).__name__ for answer in answers]
    assert kinds == ["Started", "Started", "Started", "ConcurrencyConflict"]
    assert Run.objects.count() == 3
    assert answers[3].extra["holder"]["id"] == str(answers[0].run.pk)


def test_a_step_that_starts_a_run_fails_where_that_is_refused(flow: MakeFlow) -> None:
    child = flow(nodes=[WAIT], config=rule("reject"))
    child.start(customer="acme")
    asks = {"workflow_id": str(child.workflow.pk), "inputs": {"customer": "acme"}}
    parent = flow(nodes=[{"id": "child", "type": "workflow", "config": asks}]).run()
    assert parent.status == "failed"
    assert step(parent, "child").error["code"] == "concurrency_conflict"
    assert Run.objects.filter(workflow=child.workflow).count() == 1


def test_what_on_failure_may_not_start_is_left_out(flow: MakeFlow) -> None:
    other = flow(nodes=[WAIT], config={"concurrency": {"on_conflict": "reject"}})
    other.start()
    failing = flow(nodes=[effect("a", fail_times=1)], config={"on_failure": {"workflow_id": str(other.workflow.pk)}})
    assert failing.run().status == "failed"
    assert Run.objects.filter(workflow=other.workflow).count() == 1


def test_the_newest_takes_the_place_of_what_runs(flow: MakeFlow) -> None:
    made = flow(chain(WAIT, effect("after")), config=rule("cancel_running"))
    first = made.start(customer="acme")
    made.drain()
    second, other = made.start(customer="acme"), made.start(customer="moe")
    made.drain()
    assert [fresh(run).status for run in (first, second, other)] == ["cancelled", "waiting", "waiting"]
    assert fresh(first).status_reason == f"superseded by the run {second.pk}"
    assert fresh(second).started_at >= fresh(first).finished_at
    assert invariants.violations([invariants.story_of(fresh(first))]) == []


def test_of_many_the_newest_remain(flow: MakeFlow) -> None:
    made = flow(nodes=[WAIT], config=rule("cancel_running", limit=2))
    runs = [made.start(customer="acme") for _ in range(6)]
    made.drain()
    timers.run_once(clock.now())
    made.drain()
    assert [fresh(run).status for run in runs] == ["cancelled"] * 4 + ["waiting"] * 2


def test_a_new_version_says_what_holds_for_runs_that_queue(flow: MakeFlow) -> None:
    made = flow(nodes=[WAIT], config=rule("queue"))
    runs = [made.start(customer="acme") for _ in range(4)]
    made.drain()
    assert [fresh(run).status for run in runs] == ["waiting"] + ["pending"] * 3
    definition = {"nodes": [WAIT], "edges": [], "config": rule("queue", limit=3)}
    factories.make_version(workflow=made.workflow, version=2, definition=definition)
    type(made.workflow).objects.filter(pk=made.workflow.pk).update(version=2)
    woken = timers.alarm._queues.run_once(clock.now())
    assert [run_id for run_id, _ in woken] == [runs[1].pk, runs[2].pk]
    timers.run_once(clock.now())
    made.drain()
    assert [fresh(run).status for run in runs] == ["waiting"] * 3 + ["pending"]
