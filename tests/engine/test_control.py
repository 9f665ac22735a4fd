"""Steering runs: cancel, pause, resume; limits and priorities."""

from collections.abc import Callable

import pytest

from flowforge.engine import driver, worker
from flowforge.projects.models import Project
from runs.services.intents import cancel_run, pause_run, resume_run
from tests.engine.conftest import Flow, chain, effect, events, fresh, statuses, step
from tests.support import invariants
from tests.support.step_types import Effect

pytestmark = pytest.mark.django_db
MakeFlow = Callable[..., Flow]


def test_it_works(flow: MakeFlow) -> None:
    made = flow(chain({"id": "wait", "type": "delay", "config": {"duration": "1h"}}, effect("after")))
    run = made.run()
    cancel_run(run_id=run.pk)
    made.drain()
    run = fresh(run)
    assert run.status == "cancelled"
    assert run.error["code"] == "cancelled"
    assert statuses(run) == {"wait": "cancelled", "after": "cancelled"}
    assert events(run)[-3:] == ["step.cancelled", "step.cancelled", "run.cancelled"]


def test_a_run_can_be_cancelled_before_it_starts(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("only")])
    run = made.start()
    cancel_run(run_id=run.pk)
    made.drain()
    assert fresh(run).status == "cancelled"
    assert Effect.seen == {}


def test_pausing_begins_nothing_new(flow: MakeFlow) -> None:
    made = flow(chain(effect("first"), effect("second"), effect("third")))
    run = made.start()
    Effect.before = lambda context: pause_run(run_id=run.pk) if context.node_id == "first" else None
    made.drain()
    assert fresh(run).status == "paused"
    assert statuses(run) == {"first": "completed", "second": "pending"}
    assert Effect.order == ["first"]
    resume_run(run_id=run.pk)
    made.drain()
    run = fresh(run)
    assert run.status == "completed"
    assert [name for name in events(run) if name.startswith("run.")] == [
        *("run.created", "run.started", "run.paused", "run.resumed", "run.completed"),
    ]


def test_a_paused_run_gives_workers_nothing(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("a"), effect("b")])
    run = made.start()
    driver.drive(run.pk)
    pause_run(run_id=run.pk)
    worker.work(run.pk, "default")
    assert Effect.seen == {}


def test_a_cancelled_run_gives_workers_nothing(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("a"), effect("b")])
    run = made.start()
    driver.drive(run.pk)
    cancel_run(run_id=run.pk)
    worker.work(run.pk, "default")
    made.drain()
    assert Effect.seen == {}
    assert fresh(run).status == "cancelled"


def test_the_result_of_a_cancelled_step_is_void(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("a"), effect("b")])
    run = made.start()
    driver.drive(run.pk)

    def cancel_meanwhile(_: object) -> None:
        if fresh(run).status == "running":
            cancel_run(run_id=run.pk)
            driver.drive(run.pk)

    Effect.before = cancel_meanwhile
    made.drain()
    assert fresh(run).status == "cancelled"
    assert set(statuses(run).values()) == {"cancelled"}
    assert "step.completed" not in events(run)


def test_a_run_that_ends_is_let_go_whatever_is_asked_of_it(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("only")])
    run = made.start()
    Effect.before = lambda _: pause_run(run_id=run.pk)  # a poke, while the lease is held
    driver.drive(run.pk)
    run = fresh(run)
    assert (run.status, run.pokes) == ("completed", 1)
    assert (run.lease_expires_at, run.wake_at) == (None, None)


def test_max_concurrency_holds_for_workers(flow: MakeFlow) -> None:
    nodes = [effect(f"s{n}") for n in range(6)]
    made = flow(nodes=nodes, config={"max_concurrency": 2})
    run = made.start()
    highest: list[int] = []

    def count(_: object) -> None:
        highest.append(sum(status == "running" for status in statuses(run).values()))
        if len(highest) < 3:  # another worker comes while this one is busy
            worker.work(run.pk, "default")

    Effect.before = count
    made.drain()
    assert fresh(run).status == "completed"
    assert max(highest) <= 2


def test_higher_priorities_go_first(flow: MakeFlow) -> None:
    made = flow(nodes=[{**effect(name), "priority": rank} for name, rank in (("low", 1), ("high", 9), ("mid", 5))])
    made.run()
    assert Effect.order == ["high", "mid", "low"]


def test_a_node_can_name_its_queue(flow: MakeFlow, project: Project) -> None:
    made = flow(nodes=[{**effect("special"), "queue": "gpu"}])
    run = made.start()
    driver.drive(run.pk)
    assert step(run, "special").queue == "gpu"
    worker.work(run.pk, "default")
    assert Effect.seen == {}
    worker.work(run.pk, "gpu")
    assert fresh(run).status == "completed"


@pytest.mark.parametrize("kind", ["effect", "transform"])
@pytest.mark.parametrize("raises", [False, True])
def test_a_cancellation_that_was_accepted_holds(
    flow: MakeFlow, monkeypatch: pytest.MonkeyPatch, kind: str, raises: bool
) -> None:
    """It comes when the run's end is decided, and not on disk: whoever was told 202 is right."""
    config = {"values": {"n": "{{ 1 / 0 }}" if raises else "{{ 1 }}"}} if kind == "transform" else {}
    if kind == "effect" and raises:
        config = {"raises": "oops"}
    made = flow(nodes=[{"id": "only", "type": kind, "config": config}])
    asked: list[str] = []

    def cancel_late(name: str) -> None:
        if name == "run.before_terminal" and not asked:
            asked.append(name)
            cancel_run(run_id=run.pk)

    monkeypatch.setattr(driver, "failpoint", cancel_late)
    run = made.start()
    made.drain()
    assert asked
    assert fresh(run).status == "cancelled"
    assert invariants.violations([invariants.story_of(fresh(run))]) == []
