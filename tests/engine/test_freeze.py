"""Freezing and thawing: nothing begins, nothing is lost, and what was held back comes at its pace."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Q

from flowforge.core import clock
from flowforge.core.errors import Conflict, InvalidBody
from flowforge.engine import driver, thawing, timers, worker
from flowforge.operating import selectors
from flowforge.operating.constants import ENGINE_ID, THAWED
from flowforge.operating.models import Hold
from flowforge.operating.services import freeze, pause_engine, resume_engine, thaw
from runs.models import Run
from runs.services import cancel_run, pause_run, resume_run
from runs.services.ordering import change_priority
from runs.services.outside import resolve_step
from tests.engine.conftest import Flow, chain, effect, events, fresh, statuses, step
from tests.support.clock import FrozenClock
from tests.support.step_types import Effect

pytestmark = pytest.mark.django_db
MakeFlow = Callable[..., Flow]
APPROVAL = {"id": "ask", "type": "approval", "config": {"title": "May it?"}}


def stop(made: Flow, scope: str = "project", **options: Any) -> uuid.UUID:
    ids = {"project": made.workflow.project_id, "workflow": made.workflow.pk, "engine": ENGINE_ID}
    freeze(scope=scope, scope_id=ids[scope], **{"reason": "so", "by": "ann", **options})
    return ids[scope]


def sweep(made: Flow) -> int:
    hinted = timers.run_once(clock.now()).hinted
    made.drain()
    return hinted


def sweeps(made: Flow, frozen_clock: FrozenClock, seconds: int) -> None:
    for _ in range(seconds):
        frozen_clock.advance(1)
        sweep(made)


@pytest.mark.parametrize("scope", ["project", "workflow", "engine"])
def test_it_works(flow: MakeFlow, frozen_clock: FrozenClock, scope: str) -> None:
    made = flow(chain(effect("a"), effect("b")))
    scope_id = stop(made, scope)
    run = made.run()
    assert (run.status, run.wake_at, run.lease_expires_at) == ("pending", None, None)
    assert run.held_at == clock.now()
    assert events(run) == ["run.created"]
    thaw(scope_id=scope_id)
    sweep(made)
    run = fresh(run)
    assert (run.status, run.held_at) == ("completed", None)
    assert Effect.order == ["a", "b"]
    assert Hold.objects.get().status == THAWED
    sweeps(made, frozen_clock, 61)
    assert Hold.objects.count() == 0


def test_it_rejects_what_makes_no_sense(project: Any) -> None:
    with pytest.raises(Conflict):
        thaw(scope_id=project.pk)
    with pytest.raises(InvalidBody):
        freeze(scope="project", scope_id=project.pk, reason="", by="ann", until=clock.now())
    with pytest.raises(ValueError, match="rate"):
        thaw(scope_id=project.pk, rate="fast")


def test_another_project_goes_on(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("a")])
    freeze(scope="project", scope_id=uuid.uuid4(), reason="", by="ann")
    assert made.run().status == "completed"


def test_a_frozen_run_is_looked_at_once(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    """No timer, no hint, no write while it is frozen."""
    made = flow(chain({"id": "wait", "type": "delay", "config": {"duration": "10s"}}, effect("after")))
    run = made.run()
    scope_id = stop(made)
    frozen_clock.advance(10)
    assert sweep(made) == 1
    assert step(run, "wait").status == "waiting"
    assert (fresh(run).wake_at, fresh(run).held_at) == (None, clock.now())
    before = Run.objects.values().get()
    for _ in range(3):
        frozen_clock.advance(3600)
        assert sweep(made) == 0
    assert Run.objects.values().get() == before
    thaw(scope_id=scope_id)
    sweep(made)
    assert fresh(run).status == "completed"


def test_steps_that_run_end_and_no_other_begins(flow: MakeFlow) -> None:
    made = flow(chain(effect("a"), effect("b"), effect("c")))
    run = made.start()
    Effect.before = lambda context: stop(made) and None if context.node_id == "a" else None
    made.drain()
    assert statuses(run) == {"a": "completed", "b": "pending"}  # it is ready, and does not begin
    assert (fresh(run).status, fresh(run).wake_at) == ("running", None)
    thaw(scope_id=made.workflow.project_id)
    sweep(made)
    assert fresh(run).status == "completed"
    assert Effect.order == ["a", "b", "c"]


def test_workers_get_nothing(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("a"), effect("b")])
    run = made.start()
    driver.drive(run.pk)
    stop(made)
    worker.work(run.pk, "default")
    assert Effect.seen == {}
    made.drain()
    assert Effect.seen == {}
    assert (fresh(run).held_at is None, fresh(run).wake_at) == (False, None)


def test_a_retry_uses_up_no_attempt(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    retry = {"max_attempts": 2, "initial_delay": "5s", "jitter": 0}
    made = flow(nodes=[{**effect("a", fail_times=1), "retry": retry}])
    run = made.run()
    assert step(run, "a").status == "retrying"
    scope_id = stop(made)
    sweeps(made, frozen_clock, 60)
    assert (step(run, "a").status, step(run, "a").attempt) == ("retrying", 1)
    thaw(scope_id=scope_id)
    sweep(made)
    assert (fresh(run).status, step(run, "a").attempt) == ("completed", 2)


def test_an_approval_is_decided_and_what_follows_waits(flow: MakeFlow) -> None:
    made = flow(chain(APPROVAL, effect("after")))
    run = made.run()
    scope_id = stop(made)
    asked = step(run, "ask")
    decision = {"status": "completed", "branch": "approved", "output": {"decision": "approved"}}
    assert resolve_step(run_id=run.pk, step_id=asked.pk, only=Q(status="waiting"), resolution=decision)
    made.drain()
    assert statuses(run) == {"ask": "completed"}
    assert fresh(run).held_at is not None
    thaw(scope_id=scope_id)
    sweep(made)
    assert fresh(run).status == "completed"


def test_what_waits_for_somebody_is_not_held_back(flow: MakeFlow) -> None:
    made = flow(chain(APPROVAL, effect("after")))
    run = made.run()
    stop(made)
    driver.drive(run.pk)
    assert (fresh(run).status, fresh(run).held_at) == ("waiting", None)


def test_a_timeout_does_not_pass_meanwhile(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    delay = {"id": "wait", "type": "delay", "config": {"duration": "30s"}}
    made = flow(chain(delay, effect("after")), config={"timeout": "60s"})
    run = made.run()
    scope_id = stop(made)
    sweeps(made, frozen_clock, 31)
    frozen_clock.advance(3600)
    sweep(made)
    assert fresh(run).status == "waiting"
    thaw(scope_id=scope_id)
    sweep(made)
    run = fresh(run)
    assert run.status == "completed"
    assert run.deadline_at - run.started_at == timedelta(seconds=60 + 31 + 3600)


def test_what_is_frozen_does_not_expire(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    made = flow(nodes=[effect("a")], config={"expires_in": "60s"})
    scope_id = stop(made)
    run = made.run()
    frozen_clock.advance(3600)
    sweep(made)
    assert (fresh(run).status, fresh(run).wake_at) == ("pending", None)
    thaw(scope_id=scope_id)
    sweep(made)
    assert fresh(run).status == "completed"


def test_a_frozen_run_can_be_cancelled_and_paused(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("a")])
    scope_id = stop(made)
    run, other = made.run(), made.run()
    cancel_run(run_id=run.pk)
    pause_run(run_id=other.pk)
    made.drain()
    assert (fresh(run).status, fresh(run).held_at) == ("cancelled", None)
    assert fresh(other).status == "paused"
    thaw(scope_id=scope_id)
    sweep(made)
    assert fresh(other).status == "paused"
    resume_run(run_id=other.pk)
    made.drain()
    assert fresh(other).status == "completed"


def test_it_thaws_at_its_rate_in_order(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    made = flow(nodes=[effect("a")])
    scope_id = stop(made)
    runs = []
    for _ in range(4):
        runs.append(made.run())
        frozen_clock.advance(1)
    change_priority(run_id=runs[2].pk, priority=9, check=lambda: None)
    thaw(scope_id=scope_id, rate="6/m")
    ended: list[uuid.UUID] = []
    for _ in range(40):
        sweep(made)
        ended += [run.pk for run in runs if run.pk not in ended and fresh(run).status == "completed"]
        expected = 1 + (_ // 10)
        assert len(ended) == min(expected, 4)
        frozen_clock.advance(1)
    assert ended == [runs[place].pk for place in (2, 0, 1, 3)]


def test_what_is_started_during_a_thaw_queues_behind(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    made = flow(nodes=[effect("a")])
    scope_id = stop(made)
    first, second = made.run(), made.run()
    thaw(scope_id=scope_id, rate="1/m")
    sweep(made)
    late = made.run()
    assert [fresh(run).status for run in (first, second, late)] == ["completed", "pending", "pending"]
    sweeps(made, frozen_clock, 60)
    assert [fresh(run).status for run in (first, second, late)] == ["completed", "completed", "pending"]
    sweeps(made, frozen_clock, 60)
    assert fresh(late).status == "completed"
    assert made.run().status == "completed"  # the thaw is over: nobody waits for its pace


def test_what_another_freeze_holds_stays(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    made = flow(nodes=[effect("a")])
    stop(made, "workflow")
    stop(made, "project")
    run = made.run()
    thaw(scope_id=made.workflow.pk)
    sweeps(made, frozen_clock, 5)
    assert (fresh(run).status, fresh(run).wake_at) == ("pending", None)
    thaw(scope_id=made.workflow.project_id)
    sweep(made)
    assert fresh(run).status == "completed"


def test_it_thaws_by_itself(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    made = flow(nodes=[effect("a")])
    stop(made, until=clock.now() + timedelta(seconds=5))
    run = made.run()
    sweeps(made, frozen_clock, 4)
    assert fresh(run).status == "pending"
    sweeps(made, frozen_clock, 1)
    assert fresh(run).status == "completed"


def test_a_driver_that_was_on_its_way_is_found_after_the_thaw(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    made = flow(nodes=[effect("a")])
    scope_id = stop(made)
    run = made.start()
    thaw(scope_id=scope_id)
    timers.run_once(clock.now())  # nothing is held: it has thawed
    Run.objects.filter(pk=run.pk).update(held_at=clock.now(), wake_at=None)  # as it had decided before
    made.bell.rings.clear()
    sweeps(made, frozen_clock, 1)
    assert fresh(run).status == "completed"


def test_a_late_sweep_makes_up_for_little(frozen_clock: FrozenClock) -> None:
    now = clock.now()
    assert thawing.allowance(now - timedelta(hours=1), "10/s", now) == (20, now)
    assert thawing.allowance(now - timedelta(seconds=5), "10/m", now) == (0, now - timedelta(seconds=5))
    assert thawing.allowance(now - timedelta(seconds=7), "10/m", now) == (1, now - timedelta(seconds=1))
    assert thawing.allowance(now - timedelta(seconds=70), "1/m", now)[0] == 1


def test_the_items_of_a_map_wait(flow: MakeFlow) -> None:
    each = {"items": "{{ [1, 2, 3] }}", "step": {"type": "effect", "config": {"value": "{{ item }}"}}}
    made = flow(nodes=[{"id": "m", "type": "map", "config": {**each, "max_concurrency": 1}}])
    run = made.start()
    Effect.before = lambda _: stop(made) and None
    made.drain()
    Effect.before = None
    driver.drive(run.pk)
    assert sum(Effect.seen.values()) == 1
    assert fresh(run).wake_at is None
    thaw(scope_id=made.workflow.project_id)
    sweep(made)
    assert fresh(run).outputs["m"]["results"] == [1, 2, 3]


# --- maintenance --------------------------------------------------------------------------------------------------


def test_a_paused_engine_begins_nothing(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    made = flow(chain(effect("a"), effect("b")))
    run = made.start()
    Effect.before = lambda _: pause_engine(reason="", by="ann") and None
    made.drain()
    Effect.before = None
    waiting = made.run()
    frozen_clock.advance(60)
    assert sweep(made) == 0
    assert statuses(run) == {"a": "completed"}
    assert waiting.status == "pending"
    resume_engine()
    assert sweep(made) == 2
    assert [fresh(each).status for each in (run, waiting)] == ["completed", "completed"]


def test_it_rejects_resuming_what_is_not_paused(db: None) -> None:
    with pytest.raises(Conflict):
        resume_engine()
    assert not selectors.engine_paused()
