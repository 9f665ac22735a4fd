"""Which run goes first, and runs that need not wait any longer."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from flowforge.core import clock
from flowforge.core.errors import Conflict, NotFound
from flowforge.core.ids import new_id
from flowforge.engine import driver, timers
from flowforge.engine.store import maintenance
from flowforge.engine.store import runs as run_store
from flowforge.engine.store.rows import LeaseLost
from runs.services.ordering import change_priority, run_now
from tests.engine.conftest import Flow, effect, events, fresh
from tests.support.clock import FrozenClock

pytestmark = pytest.mark.django_db
MakeFlow = Callable[..., Flow]


def never() -> None:
    """No precondition."""


def test_it_works(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("only")])
    runs = {rank: made.start_with(priority=rank) for rank in (1, 9, 5)}
    made.bell.rings.clear()
    assert timers.run_once(clock.now()).hinted == 3
    assert made.bell.driven == [runs[9].pk, runs[5].pk, runs[1].pk]


def test_what_is_under_way_goes_before_what_is_to_begin(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    made = flow(nodes=[{"id": "wait", "type": "delay", "config": {"duration": "10s"}}])
    waiting = made.run()
    later = frozen_clock.advance(11)
    urgent = made.start_with(priority=99)
    assert maintenance.take_due_runs(later, 10, timers.AGAIN_AFTER) == [(waiting.pk, True), (urgent.pk, False)]


def test_of_equals_the_most_overdue_goes_first_and_only_so_many(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    made = flow(nodes=[effect("only")])
    runs = [made.start_with() for _ in range(3) if frozen_clock.advance(1)]
    now = frozen_clock.advance(1)
    assert maintenance.take_due_runs(now, 2, timedelta(seconds=5)) == [(runs[0].pk, False), (runs[1].pk, False)]
    assert maintenance.take_due_runs(now, 2, timedelta(seconds=5)) == [(runs[2].pk, False)]
    assert maintenance.take_due_runs(now, 2, timedelta(seconds=5)) == []


def test_a_priority_that_is_changed_counts(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("only")])
    first, second = made.start_with(priority=1), made.start_with(priority=2)
    change_priority(run_id=first.pk, priority=3, check=never)
    made.bell.rings.clear()
    timers.run_once(clock.now())
    assert made.bell.driven == [first.pk, second.pk]


def test_it_rejects_a_priority_for_what_has_begun(flow: MakeFlow) -> None:
    run = flow(nodes=[effect("only")]).run()
    with pytest.raises(Conflict):
        change_priority(run_id=run.pk, priority=3, check=never)
    with pytest.raises(NotFound):
        change_priority(run_id=new_id(), priority=3, check=never)
    assert fresh(run).priority == 0


def test_a_run_that_waits_can_start_now(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("only")])
    run = made.start_with(run_at=clock.now() + timedelta(hours=1))
    driver.drive(run.pk)
    assert fresh(run).status == "pending"
    run_now(run_id=run.pk)
    made.drain()
    run = fresh(run)
    assert run.status == "completed"
    assert run.run_at <= run.started_at
    assert events(run)[:2] == ["run.created", "run.started"]


def test_it_rejects_starting_now_what_does_not_wait(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("only")])
    run = made.start()
    with pytest.raises(Conflict):
        run_now(run_id=run.pk)
    with pytest.raises(NotFound):
        run_now(run_id=new_id())


def test_a_driver_that_has_read_the_old_moment_does_not_put_it_to_sleep(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("only")])
    run = made.start_with(run_at=clock.now() + timedelta(hours=1))
    held = run_store.claim_run(run.pk, "another", clock.now(), 8)
    assert held is not None
    run_now(run_id=run.pk)
    with pytest.raises(LeaseLost):
        driver.Drive(held).go()
    made.drain()
    assert fresh(run).status == "completed"
