"""Waiting, retrying, running late: what moves a run when nobody rings."""

import threading
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from flowforge.core import clock
from flowforge.engine import driver, timers
from runs.services import cancel_run
from tests.engine.conftest import Flow, chain, effect, events, fresh, step
from tests.support.clock import FrozenClock
from tests.support.step_types import Effect

pytestmark = pytest.mark.django_db
MakeFlow = Callable[..., Flow]


def sweep(made: Flow) -> int:
    """One sweep, and the answers to what it hints."""
    hinted = timers.run_once(clock.now()).hinted
    made.drain()
    return hinted


def test_it_works(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    made = flow(chain({"id": "wait", "type": "delay", "config": {"duration": "1h"}}, effect("after")))
    run = made.run()
    assert run.status == "waiting"
    assert run.wake_at == clock.now() + timedelta(hours=1)
    assert run.lease_expires_at is None
    assert step(run, "wait").status == "waiting"
    frozen_clock.advance(3599)
    assert sweep(made) == 0
    frozen_clock.advance(1)
    assert sweep(made) == 1
    assert fresh(run).status == "completed"
    assert events(run) == [
        *("run.created", "run.started", "step.started", "step.waiting", "run.waiting"),
        *("step.completed", "run.resumed", "step.started", "step.completed", "run.completed"),
    ]


def test_what_was_read_without_inputs_and_output_keeps_them(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    wait = {"id": "wait", "type": "delay", "config": {"duration": "1h"}}
    made = flow(chain(effect("before", value=1), wait, {"id": "more", "type": "delay", "config": {"duration": "2h"}}))
    run = made.run()
    frozen_clock.advance(3600)
    sweep(made)
    assert step(run, "wait").inputs == {"duration": "1h"}
    assert step(run, "before").output == 1
    cancel_run(run_id=run.pk)
    made.drain()
    assert step(run, "more").status == "cancelled"
    assert step(run, "more").inputs == {"duration": "2h"}


def test_a_run_starts_at_its_time(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    made = flow(nodes=[effect("only")])
    run = made.start_with(run_at=clock.now() + timedelta(minutes=5))
    driver.drive(run.pk)
    assert fresh(run).status == "pending"
    frozen_clock.advance(300)
    assert sweep(made) == 1
    assert fresh(run).status == "completed"


def test_an_alarm_is_set_for_a_run_that_is_due_soon(
    flow: MakeFlow, frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    alarms: list[tuple[datetime | None, uuid.UUID]] = []
    monkeypatch.setattr(timers.alarm, "at", lambda moment, run_id: alarms.append((moment, run_id)))
    made = flow(nodes=[effect("only")])
    due = clock.now() + timedelta(seconds=5)
    run = made.start_with(run_at=due)
    made.drain()
    assert alarms == [(due, run.pk)]
    assert (fresh(run).status, events(run)) == ("pending", ["run.created"])


def test_a_failed_attempt_is_followed_after_its_delay(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    policy = {"max_attempts": 3, "initial_delay": "10s", "backoff_factor": 3, "jitter": 0}
    made = flow(nodes=[{**effect("again", fail_times=2), "retry": policy}])
    run = made.run()
    assert step(run, "again").status == "retrying"
    assert step(run, "again").available_at == clock.now() + timedelta(seconds=10)
    assert run.wake_at == clock.now() + timedelta(seconds=10)
    frozen_clock.advance(10)
    sweep(made)
    assert step(run, "again").available_at == clock.now() + timedelta(seconds=30)
    frozen_clock.advance(30)
    sweep(made)
    assert fresh(run).status == "completed"
    assert events(run, "again") == [
        *("step.started", "step.retrying", "step.started", "step.retrying"),
        *("step.started", "step.completed"),
    ]


def test_attempts_come_to_an_end(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    policy = {"max_attempts": 2, "initial_delay": "1s", "jitter": 0}
    made = flow(nodes=[{**effect("again", fail_times=9), "retry": policy}])
    run = made.run()
    frozen_clock.advance(1)
    sweep(made)
    assert fresh(run).status == "failed"
    assert Effect.seen[str(run.pk), "again"] == 2


def test_what_cannot_succeed_is_not_tried_again(flow: MakeFlow) -> None:
    made = flow(nodes=[{**effect("bad", fail_times=9, retryable=False), "retry": {"max_attempts": 5}}])
    run = made.run()
    assert run.status == "failed"
    assert Effect.seen[str(run.pk), "bad"] == 1


def test_a_lost_hint_is_found_by_the_sweep(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    made = flow(nodes=[effect("a"), effect("b")])
    run = made.start()
    made.bell.rings.clear()  # the broker was flushed
    frozen_clock.advance(10)
    sweep(made)
    assert fresh(run).status == "completed"


def test_every_first_hint_lost_still_ends(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    nodes = [effect("root"), effect("a"), effect("b"), effect("end")]
    edges = [{"source": s, "target": t} for s, t in (("root", "a"), ("root", "b"), ("a", "end"), ("b", "end"))]
    made = flow(nodes=nodes, edges=edges)
    run = made.start()
    made.bell.rings.clear()
    frozen_clock.advance(10)
    timers.run_once(clock.now())
    driver.drive(run.pk)
    made.bell.rings.clear()  # the hints to the workers of a and b
    frozen_clock.advance(10)
    sweep(made)
    assert fresh(run).status == "completed"


def test_a_run_that_takes_too_long_fails(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    made = flow(
        chain({"id": "wait", "type": "delay", "config": {"duration": "1h"}}, effect("after")), config={"timeout": "10m"}
    )
    run = made.run()
    assert run.wake_at == clock.now() + timedelta(minutes=10)
    frozen_clock.advance(600)
    sweep(made)
    run = fresh(run)
    assert run.status == "failed"
    assert run.error["code"] == "timeout"
    assert step(run, "wait").status == "cancelled"
    assert step(run, "after").status == "cancelled"


def test_a_step_that_waits_too_long_fails(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    wait = {"id": "wait", "type": "delay", "timeout": "1m", "config": {"duration": "1h"}}
    made = flow(nodes=[wait, effect("sorry")], edges=[{"source": "wait", "target": "sorry", "on": "failure"}])
    run = made.run()
    frozen_clock.advance(60)
    assert sweep(made) == 1
    assert step(run, "wait").status == "failed"
    assert step(run, "wait").error["code"] == "timeout"
    assert fresh(run).status == "completed"
    assert Effect.order == ["sorry"]


def test_steps_that_wait_for_a_worker_are_not_looked_at_all_the_time(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    run = flow(nodes=[effect("a"), effect("b")]).start()
    driver.drive(run.pk)
    assert fresh(run).wake_at == clock.now() + timers.AGAIN_AFTER


def test_of_an_alarm_the_newest_moment_counts() -> None:
    alarm = timers.Alarm()
    alarm._thread = threading.current_thread()  # it takes none otherwise
    run, other, moment = uuid.uuid4(), uuid.uuid4(), clock.now()
    for each in (moment, moment + timedelta(seconds=2), moment + timedelta(seconds=1)):
        alarm.at(each, run)
    alarm.at(moment, other)
    alarm.at(None, other)
    assert alarm._take_due(moment) == []
    assert alarm._take_due(moment + timedelta(seconds=9)) == [run]


def test_a_sweep_takes_each_due_run_once(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    made = flow(nodes=[effect("only")])
    runs = {made.start().pk for _ in range(5)}
    made.bell.rings.clear()
    frozen_clock.advance(10)
    assert timers.run_once(clock.now()).hinted == 5
    assert timers.run_once(clock.now()).hinted == 0  # another sweeper at the same moment
    assert set(made.bell.driven) == runs


def test_a_waiting_run_costs_a_sweep_nothing(flow: MakeFlow, query_counter: Callable[[], object]) -> None:
    made = flow(nodes=[{"id": "wait", "type": "delay", "config": {"duration": "1h"}}])
    for _ in range(5):
        made.run()
    with query_counter() as queries:  # type: ignore[attr-defined]  # a context manager
        timers.run_once(clock.now())
    assert len(queries) == 2  # what thaws, and what is due
