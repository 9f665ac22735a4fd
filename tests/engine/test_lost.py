"""Workers that die: their steps are taken over, and what they still write is void."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db.models import F

from flowforge.core import bell as core_bell
from flowforge.core import clock
from flowforge.core.ids import step_id
from flowforge.engine import driver, execution, timers, worker
from flowforge.engine.outcomes import Result, conclude
from flowforge.engine.plan import plan_of
from flowforge.engine.store import maintenance
from flowforge.engine.store import runs as run_store
from flowforge.engine.store import steps as step_store
from flowforge.engine.store.rows import Commit, EventRow, LeaseLost, RunUpdate, StaleState
from flowforge.engine.store.steps import Settlement
from runs.models import Run, StepRun
from tests.engine.conftest import Flow, chain, effect, events, fresh, step
from tests.support.bells import Ring
from tests.support.clock import FrozenClock
from tests.support.invariants import story_of, violations
from tests.support.step_types import Effect

pytestmark = pytest.mark.django_db
MakeFlow = Callable[..., Flow]


def claim_two(flow: MakeFlow) -> tuple[Flow, Run, list[step_store.StepRow]]:
    """A run of two parallel steps, both claimed by a worker that says nothing more."""
    made = flow(nodes=[effect("a"), effect("b")])
    run = made.start()
    driver.drive(run.pk)
    made.bell.rings.clear()
    rows = step_store.claim_steps(
        run.pk, queue="default", limit=2, worker="dead", max_concurrency=10, now=clock.now(), lease_seconds=8
    )
    return made, run, rows


def test_it_works(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    made, run, rows = claim_two(flow)
    assert [row.attempt for row in rows] == [1, 1]
    frozen_clock.advance(settings.LEASE_SECONDS + 1)
    driver.drive(run.pk)
    made.drain()
    run = fresh(run)
    assert run.status == "completed"
    assert run.retries == 0
    assert step(run, "a").attempt == 1  # a lost worker uses up no attempt
    assert events(run, "a") == ["step.started", "step.retrying", "step.started", "step.completed"]


def test_the_sweep_alone_ends_a_run_whose_hints_are_all_lost(
    flow: MakeFlow, frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker is there and carries nothing: nobody hears of the run, of its steps, of what follows them."""
    made = flow(nodes=[effect("a"), effect("b")])
    answered: list[Ring] = []

    def answer_here(name: str, args: list[str], queue: str, _first: bool) -> bool:
        answered.append(Ring(name=name, run_id=uuid.UUID(args[0]), queue=queue))
        return True

    monkeypatch.setattr(core_bell, "_rescuers", [answer_here])
    run = made.start()
    for _ in range(5):
        made.bell.rings.clear()
        timers.run_once(clock.now())
        while answered:
            made.answer(answered.pop())
        frozen_clock.advance(timers.AGAIN_AFTER.total_seconds())
    assert fresh(run).status == "completed"


def test_steps_that_nobody_comes_for_are_done_here_though_the_sweep_never_finds_their_run(
    flow: MakeFlow, frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hints to drive arrive, those to work do not, and the alarm is always faster than the sweep."""
    made = flow(nodes=[effect("a"), effect("b")])
    rescued: list[str] = []
    monkeypatch.setattr(core_bell, "_rescuers", [lambda name, *_: rescued.append(name) is None])
    run = made.start()
    driver.drive(run.pk)
    assert rescued == []  # they have just been hinted for the first time
    frozen_clock.advance(timers.AGAIN_AFTER.total_seconds())
    driver.drive(run.pk)
    assert rescued == [core_bell.WORK]


def test_what_a_lost_worker_writes_is_void(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    made, run, [row, _] = claim_two(flow)
    frozen_clock.advance(settings.LEASE_SECONDS + 1)
    driver.drive(run.pk)
    row.status, row.output = "completed", "late"
    late = Settlement(row=row, events=[EventRow(at=clock.now(), event="step.completed", step_id=row.id)])
    assert step_store.settle_steps(run.pk, [late], clock.now()) == []
    made.drain()
    run = fresh(run)
    assert step(run, "a").output is None
    assert events(run, "a").count("step.completed") == 1
    assert run.event_seq == len(events(run))


def test_a_step_that_kills_its_workers_fails(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    _, run, _ = claim_two(flow)
    for _ in range(3):
        lose(run, frozen_clock)
    run = fresh(run)
    assert run.status == "failed"
    assert run.error["details"]["code"] == "worker_lost"
    assert Effect.seen == {}


def lose(run: Run, frozen_clock: FrozenClock) -> None:
    """Whoever runs the run's steps is lost; others claim them, and are not heard of any more."""
    frozen_clock.advance(settings.LEASE_SECONDS + 10)
    driver.drive(run.pk)
    for last_chance in (False, True):
        step_store.claim_steps(
            run.pk,
            queue="default",
            limit=2,
            worker="dead",
            max_concurrency=10,
            now=clock.now(),
            lease_seconds=8,
            last_chance=last_chance,
        )


def test_the_last_chance_of_a_step_is_its_own(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    """Steps that have been lost twice are hinted for apart, left alone by who claims others, and claimed singly."""
    made, run, _ = claim_two(flow)
    lose(run, frozen_clock)
    made.bell.rings.clear()
    frozen_clock.advance(settings.LEASE_SECONDS + 10)
    driver.drive(run.pk)
    assert [(ring.queue, ring.last_chance) for ring in made.bell.rings] == [("default", True)] * 2
    worker.work(run.pk, "default")
    assert {step(run, node).status for node in ("a", "b")} == {"retrying"}
    made.drain()
    run = fresh(run)
    assert run.status == "completed"
    ends = [event.event for event in run.events.order_by("seq") if event.event in ("step.started", "step.completed")]
    assert ends[-4:] == ["step.started", "step.completed"] * 2  # one after the other


def test_a_sole_step_has_its_last_chance_with_a_worker(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    """A driver does short steps of many runs in one thread: it would die over all of them."""
    made = flow(nodes=[effect("only")])
    run = made.start()
    driver.drive(run.pk)  # in place
    StepRun.objects.filter(run=run).update(status="retrying", lost_count=2, finished_at=None, output=None)
    Run.objects.filter(pk=run.pk).update(
        status="running", finished_at=None, outputs=None, steps_completed=0, wake_at=clock.now()
    )
    made.bell.rings.clear()
    driver.drive(run.pk)
    assert step(run, "only").status == "retrying"
    assert [(ring.name, ring.last_chance) for ring in made.bell.rings] == [(core_bell.WORK, True)]
    made.drain()
    assert fresh(run).status == "completed"
    assert StepRun.objects.get(run=run).lost_count == 0


def test_one_turn_for_last_chances_until_the_step_turns_out_long() -> None:
    with worker._turn(True) as end_turn:
        assert worker._last_chances.locked()
        end_turn()
        end_turn()
        assert not worker._last_chances.locked()
    with worker._turn(False):
        assert not worker._last_chances.locked()
    with worker._turn(True):
        assert worker._last_chances.locked()
    assert not worker._last_chances.locked()


def test_a_driver_that_lost_its_lease_writes_nothing(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    made = flow(nodes=[effect("only")])
    run = made.start()
    stale = run_store.claim_run(run.pk, "one", clock.now(), 8)
    assert stale is not None
    assert run_store.claim_run(run.pk, "two", clock.now(), 8) is None
    frozen_clock.advance(9)
    assert run_store.claim_run(run.pk, "two", clock.now(), 8) is not None
    with pytest.raises(LeaseLost):
        run_store.commit(
            Commit(
                run=stale,
                update=RunUpdate(columns={"status": "completed"}),
                steps=[],
                events=[EventRow(at=clock.now(), event="run.completed")],
                lease_until=clock.now() + timedelta(seconds=8),
                release=True,
                wake_at=None,
            )
        )
    assert fresh(run).status == "pending"
    assert fresh(run).event_seq == 1


def test_a_release_sees_a_poke(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("only")])
    claimed = run_store.claim_run(made.start().pk, "one", clock.now(), 8)
    assert claimed is not None
    run_store.claim_run(claimed.id, "two", clock.now(), 8)
    for expected in (False, True):
        done = run_store.commit(
            Commit(
                run=claimed,
                update=RunUpdate(),
                steps=[],
                events=[],
                lease_until=clock.now() + timedelta(seconds=8),
                release=True,
                wake_at=None,
            )
        )
        assert done.released is expected
        claimed.pokes = done.pokes


def test_steps_that_were_not_begun_are_handed_back(flow: MakeFlow) -> None:
    made, run, rows = claim_two(flow)
    step_store.hand_back(run.pk, rows, clock.now())
    assert {row.attempt for row in StepRun.objects.filter(run=run)} == {0}
    worker.work(run.pk, "default")
    made.drain()
    assert fresh(run).status == "completed"
    assert step(run, "a").attempt == 1


def test_what_is_handed_back_is_no_retry(flow: MakeFlow) -> None:
    _, run, rows = claim_two(flow)
    events, _ = conclude(rows[0], plan_of(run.version_id).definition.nodes[0], Result(outcome=None), clock.now(), float)
    assert step_store.settle_steps(run.pk, [Settlement(row=rows[0], events=events)], clock.now())
    assert (step(run, "a").status, step(run, "a").attempt) == ("retrying", 0)
    assert fresh(run).retries == 0


def test_a_driver_whose_steps_moved_on_looks_again(flow: MakeFlow, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes on from what is committed: nothing is told twice."""
    made = flow(chain(effect("first"), effect("second")))
    run = made.start()
    real = run_store.commit
    calls = iter(range(9))

    def commit(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == 1:
            raise StaleState
        return real(*args, **kwargs)

    monkeypatch.setattr(run_store, "commit", commit)
    driver.drive(run.pk)
    run = fresh(run)
    assert events(run).count("run.started") == 1
    assert step(run, "first").status == "running"  # what was not written is another's, once the lease is over


def test_a_lone_process_takes_over_at_once(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    made, run, _ = claim_two(flow)
    assert run.wake_at is not None
    Run.objects.filter(pk=run.pk).update(wake_at=clock.now() + timedelta(seconds=5))  # it was hinted; the hint is lost
    assert maintenance.expire_all_leases(clock.now()) == 1
    assert fresh(run).wake_at == clock.now()
    run_store.claim_run(run.pk, "dead too", clock.now(), 8)
    assert maintenance.expire_all_leases(clock.now()) == 1
    frozen_clock.advance(0.001)
    driver.drive(run.pk)
    made.drain()
    assert fresh(run).status == "completed"


def test_a_step_in_place_that_was_lost_is_done_again(
    flow: MakeFlow, frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = flow(nodes=[effect("only", value="done")])
    run = made.start()
    with monkeypatch.context() as patched:
        patched.setattr(execution, "failpoint", die_after_the_effect)
        with pytest.raises(SystemExit):
            driver.drive(run.pk)
    assert StepRun.objects.get(pk=step_id(run.pk, "only")).status == "running"
    frozen_clock.advance(settings.LEASE_SECONDS + 1)
    driver.drive(run.pk)
    assert fresh(run).status == "completed"
    assert step(run, "only").attempt == 1


def test_a_loss_is_told_once_though_someone_pokes(
    flow: MakeFlow, frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hint comes while the step that was lost is about to begin again: its start is put off, its loss is not new."""
    made = flow(nodes=[effect("only")])
    run = made.start()
    with monkeypatch.context() as patched:
        patched.setattr(execution, "failpoint", die_after_the_effect)
        with pytest.raises(SystemExit):
            driver.drive(run.pk)
    frozen_clock.advance(settings.LEASE_SECONDS + 1)
    poked: list[str] = []

    def poke(name: str) -> None:
        if name == "commit.before" and not poked:
            poked.append(name)
            Run.objects.filter(pk=run.pk).update(pokes=F("pokes") + 1)

    monkeypatch.setattr(driver, "failpoint", poke)
    driver.drive(run.pk)
    assert poked
    assert events(fresh(run), "only") == ["step.started", "step.retrying", "step.started", "step.completed"]
    assert violations([story_of(fresh(run))]) == []


def die_after_the_effect(name: str) -> None:
    if name == "step.after_effect":
        raise SystemExit  # as a killed process: nothing is written after this
