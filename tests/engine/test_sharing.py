"""Questions of several threads that are asked once, and how steps are dealt out among threads."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.db import DataError, connection

from flowforge.engine import driver, pools, worker
from flowforge.engine.keeper import FLUSH_AFTER_SECONDS, keeper
from flowforge.engine.pace import BATCH_SECONDS, MAX_BATCH, Pace
from flowforge.engine.plan import plan_of
from flowforge.engine.pulling import Pulling, pulling, threads_on
from flowforge.engine.sharing import Shared
from flowforge.engine.store import runs as run_store
from flowforge.engine.store import steps as step_store
from runs.models import Run, RunEvent, StepRun
from tests.engine.conftest import Flow, effect, statuses
from tests.support.step_types import Effect

MakeFlow = Callable[..., Flow]
WAIT_SECONDS = 30.0


class Slow:
    """Answers each number with its double; the first question takes until `opened`."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.asked: list[list[int]] = []
        self.shared: Shared[int, int] = Shared(self._ask)

    def _ask(self, numbers: Sequence[int]) -> list[int]:
        self.asked.append(list(numbers))
        assert self.opened.wait(WAIT_SECONDS)
        if 13 in numbers:
            raise ValueError("unlucky")
        return [2 * number for number in numbers]

    def ask(self, pool: ThreadPoolExecutor, first: int, *others: int) -> list["Future[int]"]:
        """`first` is being asked while the others come, one by one."""
        found = []
        for count, number in enumerate((first, *others)):
            found.append(pool.submit(self.shared, number))
            until = time.monotonic() + WAIT_SECONDS
            while len(self.asked) + len(self.shared._waiting) < count + 1 and time.monotonic() < until:
                self.opened.wait(0.001)
        self.opened.set()
        return found


def test_who_comes_meanwhile_is_answered_together() -> None:
    slow = Slow()
    with ThreadPoolExecutor(5) as pool:
        answers = [each.result(WAIT_SECONDS) for each in slow.ask(pool, 1, 2, 3, 4)]
    assert answers == [2, 4, 6, 8]
    assert slow.asked == [[1], [2, 3, 4]]
    assert slow.shared(5) == 10, "nobody is left to wait for"


def test_what_goes_wrong_is_told_to_all_and_hinders_nobody_later() -> None:
    slow = Slow()
    with ThreadPoolExecutor(5) as pool:
        first, *others = slow.ask(pool, 1, 13, 3)
        assert first.result(WAIT_SECONDS) == 2
        for each in others:
            with pytest.raises(ValueError, match="unlucky"):
                each.result(WAIT_SECONDS)
    assert slow.shared(5) == 10


def test_a_batch_grows_while_it_fits() -> None:
    pace = Pace()
    assert pace.batch("default") == pace.worth_a_thread("default") == 1
    sizes = []
    for _ in range(9):
        count = pace.batch("default")
        pace.batch_took("default", count, count * 0.0001)
        sizes.append(pace.batch("default"))
    assert sizes == [2, 4, 8, 16, 32, 64, 128, MAX_BATCH, MAX_BATCH]
    assert pace.worth_a_thread("default") > MAX_BATCH
    pace.batch_took("default", 10, 10 * BATCH_SECONDS / 4)
    assert pace.batch("default") == 4, "as many as fit, at once"
    pace.batch_took("default", 4, 40 * BATCH_SECONDS)
    assert pace.batch("default") == pace.worth_a_thread("default") == 1
    assert pace.batch("other") == 1


@pytest.fixture
def fan(flow: MakeFlow, monkeypatch: pytest.MonkeyPatch) -> Pulling:
    """Twelve ready steps of a run."""
    made = flow(nodes=[effect(f"s{place}") for place in range(12)], config={"max_concurrency": 50})
    run = made.start()
    made.answer(made.bell.rings.pop(0))
    claimed = run_store.read_run(run.id)
    assert claimed is not None
    found = pulling(claimed, "default")
    assert pulling(claimed, "default") is found, "one for all threads"
    return found


@pytest.mark.django_db
def test_few_steps_go_to_many_threads(fan: Pulling) -> None:
    hands = fan._claim_for([4, 4, 4, 4, 4])
    assert [[row.node_id for row in hand] for hand in hands] == [
        ["s0", "s5", "s10"], ["s1", "s6", "s11"], ["s2", "s7"], ["s3", "s8"], ["s4", "s9"],
    ]  # fmt: skip
    assert fan._claim_for([4, 4]) == [[], []]


@pytest.mark.django_db
def test_steps_that_are_too_short_for_that_go_to_few(fan: Pulling) -> None:
    plan_of(fan.run.version_id).pace.batch_took("default", 1, 0.01)
    assert [len(hand) for hand in fan._claim_for([8, 8, 8])] == [5 + 0, 5, 2]


@pytest.mark.django_db
def test_steps_that_take_longer_than_thought_go_to_others(flow: MakeFlow, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread extends the lease of the step that it does, not of those that have to wait for it."""
    monkeypatch.setattr(worker, "OVERDUE_SECONDS", 0.0)
    made = flow(nodes=[effect(f"s{place}") for place in range(6)], config={"max_concurrency": 50})
    run = made.start()
    plan_of(run.version_id).pace.batch_took("default", 4, 0.0)
    made.drain()
    assert Run.objects.get(pk=run.pk).status == "completed"
    assert dict(Effect.seen) == {(str(run.pk), f"s{place}"): 1 for place in range(6)}
    assert not StepRun.objects.filter(run_id=run.pk).exclude(attempt=1).exists()
    reasons = [event.data.get("reason") for event in RunEvent.objects.filter(run_id=run.pk, event="step.retrying")]
    assert reasons
    assert set(reasons) == {"handed_back"}


@pytest.mark.django_db
def test_what_cannot_be_recorded_does_not_keep_others(fan: Pulling, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads share a transaction: where it fails, each records its own."""
    settle, tried = step_store.settle_steps, []

    def of_one_alone(run_id: Any, settlements: Sequence[Any], *args: Any, **options: Any) -> Any:
        tried.append(len(settlements))
        if len(settlements) > 1:
            raise DataError
        return settle(run_id, settlements, *args, **options)

    monkeypatch.setattr(step_store, "settle_steps", of_one_alone)
    rows = fan.claim()
    settlement = step_store.Settlement(row=rows[0], events=[])
    rows[0].status = "completed"
    monkeypatch.setattr(fan, "_settle_shared", lambda asked: fan._settle_for([asked, asked])[0])
    assert fan.settle([settlement]) == [settlement]
    assert tried == [2, 1]
    assert StepRun.objects.filter(run_id=fan.run.id, status="completed").count() == 1


@pytest.mark.django_db
def test_no_statement_of_the_engine_reads_a_whole_table(flow: MakeFlow) -> None:
    """PostgreSQL plans each once, perhaps while the tables are all but empty: whatever it makes of that has to stay
    good while they grow."""
    if connection.vendor != "postgresql":
        pytest.skip("PostgreSQL's plans: tests/engine/test_live.py reads SQLite's")
    nodes = [effect("first"), *(effect(f"s{place}") for place in range(6)), effect("last")]
    edges = [{"source": "first", "target": f"s{place}"} for place in range(6)]
    edges += [{"source": f"s{place}", "target": "last"} for place in range(6)]
    made = flow(nodes=nodes, edges=edges)
    for _ in range(3):  # what is asked again is prepared
        assert made.run().status == "completed"
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements WHERE statement ~ 'runs_'")
        statements = [statement for (statement,) in cursor.fetchall()]
        assert len(statements) > 3
        for statement in statements:
            cursor.execute(f"EXPLAIN (GENERIC_PLAN) {statement}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
            assert "Seq Scan on runs_" not in plan, f"{statement}\n{plan}"


@pytest.mark.django_db
def test_as_many_are_hinted_as_have_nothing_to_do(flow: MakeFlow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is at a run's steps asks for more. One is hinted in any case: other processes may be idle."""
    made = flow(nodes=[effect(f"s{place}") for place in range(12)], config={"max_concurrency": 50})
    hinted = []
    for busy in (0, pools.width("default") - 3, 100):
        run = made.start()
        monkeypatch.setattr(driver, "threads_on", lambda _run, _queue, busy=busy: busy)
        made.answer(made.bell.rings.pop())
        hinted.append(len(made.bell.worked))
        made.bell.rings.clear()
        assert statuses(run) == {f"s{place}": "pending" for place in range(12)}
    assert hinted == [12, 3, 1]


@pytest.mark.django_db
def test_who_sits_in_a_long_step_passes_the_hint_on(flow: MakeFlow) -> None:
    made = flow(nodes=[effect(f"s{place}") for place in range(12)], config={"max_concurrency": 50})
    run = made.start()
    made.answer(made.bell.rings.pop())
    made.bell.rings.clear()
    counts: list[tuple[int, int]] = []

    def meanwhile(_context: Any) -> None:
        claimed = run_store.read_run(run.id)
        assert claimed is not None
        before = threads_on(claimed, "default")
        if not counts:
            keeper.run_once(time.monotonic() + FLUSH_AFTER_SECONDS)
        counts.append((before, threads_on(claimed, "default")))

    Effect.before = meanwhile
    worker.work(run.id, "default")
    assert counts[0] == (1, 0)
    assert made.bell.worked == [(run.id, "default")]
    assert set(counts[1:]) == {(1, 1)}, "it came back"
