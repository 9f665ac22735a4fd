"""Runs that one thread drives together: each as if it were alone, and the commits of all as one."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from flowforge.cli.idle import IdleThreads
from flowforge.core import clock
from flowforge.engine import convoy, driver
from flowforge.engine.convoy import MAX_RIDERS
from flowforge.engine.drivers import Drivers
from flowforge.engine.keeper import keeper
from flowforge.engine.pace import Pace
from flowforge.engine.plan import plan_of
from flowforge.engine.store import runs as run_store
from flowforge.engine.store.rows import ClaimedRun, Commit, Committed, LeaseLost, RunUpdate
from flowforge.engine.store.together import claim_together, commit_together
from runs.models import Run, StepRun
from tests.engine.conftest import Flow, chain, effect, events, fresh, statuses, step
from tests.support.clock import FrozenClock
from tests.support.invariants import story_of, violations
from tests.support.step_types import Effect, Gate

MakeFlow = Callable[..., Flow]
IS_SHORT = Pace.is_short
GATE = {"id": "gate", "type": "gate", "config": {}}


class Threads:
    """Idle threads that begin when the test says so."""

    def __init__(self) -> None:
        self.offered: list[Callable[[], None]] = []

    def offer(self, call: Callable[[], None]) -> bool:
        self.offered.append(call)
        return True

    def begin(self) -> None:
        """What was offered, one after the other, in this thread."""
        while self.offered:
            self.offered.pop(0)()


@pytest.fixture
def threads() -> Threads:
    return Threads()


@pytest.fixture
def drivers(threads: Threads) -> Drivers:
    made = Drivers()
    made.start(threads.offer, most=1, room=100)
    return made


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All is short but the gate."""
    monkeypatch.setattr(Pace, "is_short", lambda self, node: node.type != "gate")
    yield
    Gate.reset()


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many runs each round has written."""
    counts: list[int] = []
    real = convoy.commit_together

    def counting(asked: Any) -> Any:
        counts.append(len(asked))
        return real(asked)

    monkeypatch.setattr(convoy, "commit_together", counting)
    return counts


def start(made: Flow, drivers: Drivers, count: int) -> list[Run]:
    runs = [made.start() for _ in range(count)]
    for run in runs:
        assert drivers.hint(run.pk)
    return runs


@pytest.mark.django_db
def test_it_works(flow: MakeFlow, drivers: Drivers, threads: Threads, written: list[int]) -> None:
    runs = start(flow(chain(effect("a", value=1), effect("b", value=2))), drivers, 5)
    assert len(threads.offered) == 1, "one thread drives"
    threads.begin()
    assert {fresh(run).status for run in runs} == {"completed"}
    assert {fresh(run).outputs["b"] for run in runs} == {2}
    assert written == [5, 5, 5], "start of a; its end and the start of b; the end"
    alone = flow(chain(effect("a"), effect("b"))).run()
    assert events(runs[0]) == events(alone)
    assert violations([story_of(run) for run in Run.objects.all()]) == []


@pytest.mark.django_db
def test_who_comes_later_is_taken_on(flow: MakeFlow, drivers: Drivers, threads: Threads, written: list[int]) -> None:
    made = flow(chain(effect("a"), effect("b")))
    late: list[Run] = []

    def arrive(_context: Any) -> None:
        if not late:
            late.extend(start(made, drivers, 1))

    Effect.before = arrive
    start(made, drivers, 2)
    threads.begin()
    assert fresh(late[0]).status == "completed"
    assert written == [2, 2, 3, 1, 1]


@pytest.mark.django_db
def test_what_fails_hinders_no_other(
    flow: MakeFlow, drivers: Drivers, threads: Threads, caplog: pytest.LogCaptureFixture
) -> None:
    made = flow(chain(effect("a"), effect("b")))
    good, lost, moved, broken = start(made, drivers, 4)

    def interfere(context: Any) -> None:
        if context.node_id != "a":
            return
        if context.run_id == str(lost.pk):
            Run.objects.filter(pk=lost.pk).update(lease_token=99)
        elif context.run_id == str(moved.pk):
            StepRun.objects.filter(run=moved).update(lease_token=99)
        elif context.run_id == str(broken.pk):
            raise SystemError  # of the step: it fails, and the run with it

    Effect.before = interfere
    threads.begin()
    assert fresh(good).status == "completed"
    assert (fresh(lost).status, statuses(lost)) == ("running", {"a": "running"})
    assert "the lease was lost" in caplog.text
    assert statuses(moved) == {"a": "running"}, "another has it: this one waits for its lease"
    assert (fresh(broken).status, fresh(broken).lease_expires_at) == ("failed", None)


@pytest.mark.django_db
def test_a_drive_that_breaks_is_let_go(
    flow: MakeFlow, drivers: Drivers, threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = start(flow(chain(effect("a"))), drivers, 2)
    decide = driver.Drive._decide_stretch

    def breaking(self: Any) -> Any:
        if self.run.id == bad.pk:
            raise ZeroDivisionError
        return decide(self)

    monkeypatch.setattr(driver.Drive, "_decide_stretch", breaking)
    threads.begin()
    assert fresh(good).status == "completed"
    assert fresh(bad).lease_expires_at is None
    assert fresh(bad).wake_at is not None


@pytest.mark.django_db
def test_a_run_that_someone_has_is_poked(flow: MakeFlow, drivers: Drivers, threads: Threads) -> None:
    held, free = start(flow(chain(effect("a"))), drivers, 2)
    assert run_store.claim_run(held.pk, "another", clock.now(), settings.LEASE_SECONDS)
    drivers.hint(uuid.uuid4())  # of a run that is no more
    threads.begin()
    assert (fresh(held).status, fresh(held).pokes) == ("pending", 1)
    assert fresh(free).status == "completed"


@pytest.mark.django_db
def test_a_run_that_is_hinted_both_ways_is_driven_once(flow: MakeFlow, drivers: Drivers, threads: Threads) -> None:
    """By the sweep and by whoever has something for it: of two drives under one lease one would let the run go while
    the other does its step, whose result would be lost."""
    [run] = start(flow(chain(effect("a"))), drivers, 1)
    assert drivers.hint_first(run.pk)
    assert drivers.hint(run.pk)
    assert drivers.take(10) == ([], [run.pk])
    claimed = claim_together([run.pk, run.pk], "me", clock.now(), settings.LEASE_SECONDS)
    assert [each.id for each in claimed] == [run.pk]


@pytest.mark.django_db
def test_hints_beyond_the_room_are_refused(threads: Threads) -> None:
    made = Drivers()
    made.start(threads.offer, most=1, room=1)
    first = uuid.uuid4()
    assert made.hint(first)
    assert not made.hint(uuid.uuid4())
    threads.begin()
    assert made.hint(uuid.uuid4()), "there is room again"


@pytest.mark.django_db(transaction=True)
def test_a_long_step_holds_up_nobody(flow: MakeFlow) -> None:
    """The thread that does it leaves the others to the next one, and comes back with its result."""
    made, others = flow(chain(GATE, effect("after"))), flow(chain(effect("a"), effect("b")))
    started: list[threading.Thread] = []

    def offer(call: Callable[[], None]) -> bool:
        def run() -> None:
            try:
                call()
            finally:
                connection.close()

        started.append(threading.Thread(target=run))
        return True

    drivers = Drivers()
    drivers.start(offer, most=1, room=100)
    long = start(made, drivers, 1)
    short = start(others, drivers, 3)
    started[0].start()
    assert Gate.entered.wait(10)
    assert len(started) == 2, "another goes on with the others"
    started[1].start()
    started[1].join(10)
    assert {fresh(run).status for run in short} == {"completed"}
    assert statuses(long[0]) == {"gate": "running"}
    Gate.opened.set()
    started[0].join(10)
    assert fresh(long[0]).status == "completed"
    assert step(long[0], "gate").lost_count == 0


@pytest.mark.django_db(transaction=True)
def test_a_convoy_of_short_steps_that_all_hang_loses_none(flow: MakeFlow, monkeypatch: pytest.MonkeyPatch) -> None:
    """All are started, one hangs: the leases of those that wait are kept, and they don't hang one after the other."""
    monkeypatch.setattr(Pace, "is_short", IS_SHORT)
    made, entered, go_on = flow(chain(effect("a"))), threading.Semaphore(0), threading.Event()

    def hang(_context: Any) -> None:
        entered.release()
        assert go_on.wait(60)

    Effect.before = hang
    drivers, idle = Drivers(), IdleThreads(MAX_RIDERS + 1, "driver")
    drivers.start(lambda call: False, most=1, room=100)
    runs = start(made, drivers, MAX_RIDERS - 1)
    prove_short(runs[0])
    drivers.start(idle.offer, most=1, room=100)
    runs += start(made, drivers, 1)  # it wakes a thread, which takes all of them
    assert entered.acquire(timeout=10)
    assert StepRun.objects.filter(status="running").count() == MAX_RIDERS

    StepRun.objects.update(lease_expires_at=clock.now())
    Run.objects.update(lease_expires_at=clock.now())
    keeper._renew(keeper.executions)
    assert not StepRun.objects.filter(lease_expires_at__lt=clock.now()).exists()
    assert not Run.objects.filter(lease_expires_at__lt=clock.now()).exists()

    keeper.run_once(time.monotonic() + 0.3)
    for _ in range(MAX_RIDERS - 1):
        assert entered.acquire(timeout=10), "once one was found long, nobody waits for another"
    go_on.set()
    idle.stop()
    assert set(Run.objects.values_list("status", flat=True)) == {"completed"}
    assert set(StepRun.objects.values_list("lost_count", flat=True)) == {0}
    assert set(Effect.seen.values()) == {1}
    assert keeper.executions == []
    assert violations([story_of(run) for run in Run.objects.all()]) == []


def prove_short(run: Run) -> None:
    plan = plan_of(run.version_id)
    for node in plan.definition.nodes:
        for _ in range(3):
            plan.pace.took(node, 0.0001)


def test_a_pace_is_known_after_some_steps(flow: MakeFlow, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    made = flow(chain(effect("a")))
    run = made.start()
    plan = plan_of(run.version_id)
    node = plan.definition.nodes[0]
    assert not plan.pace.is_short(node)
    for _ in range(3):
        plan.pace.took(node, 0.0001)
    assert plan.pace.is_short(node)
    plan.pace.took(node, 0.005)
    assert plan.pace.is_short(node), "once is no habit"
    plan.pace.took(node, 0.25)
    assert not plan.pace.is_short(node)


@pytest.mark.django_db
@pytest.mark.parametrize("newest_first", [False, True])
def test_the_old_lease_and_the_new_one_of_a_run_are_told_apart(
    flow: MakeFlow, frozen_clock: FrozenClock, newest_first: bool
) -> None:
    """A thread was held up for longer than the lease, and was then given the run a second time: it has both."""
    run = flow(nodes=[effect("only")]).start()
    old = run_store.claim_run(run.pk, "held up", clock.now(), settings.LEASE_SECONDS)
    frozen_clock.advance(settings.LEASE_SECONDS + 1)
    new = run_store.claim_run(run.pk, "again", clock.now(), settings.LEASE_SECONDS)
    assert old is not None
    assert new is not None
    order = [new, old] if newest_first else [old, new]
    told = dict(
        zip([each.lease_token for each in order], commit_together([nothing_new(r) for r in order]), strict=True)
    )
    assert isinstance(told[old.lease_token], LeaseLost)
    assert isinstance(told[new.lease_token], Committed)


def nothing_new(run: ClaimedRun) -> Commit:
    until = clock.now() + timedelta(seconds=settings.LEASE_SECONDS)
    return Commit(run=run, update=RunUpdate(), steps=[], events=[], lease_until=until, release=False, wake_at=None)
