"""Workers pull: they claim ready steps of a run, do them, and record what became of them.

The batch grows while steps prove short (`engine.pace`), and results of short steps are committed together, those of
other threads with them (`engine.pulling`). A step that turns out long holds up nobody: the keeper relieves its batch of
what is done and of what has not begun.
"""

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from django.db import DatabaseError

from flowforge.core import bell, clock
from flowforge.core.failpoints import failpoint
from flowforge.engine import driver, pools
from flowforge.engine.execution import Execution, attempt
from flowforge.engine.items import frees_item
from flowforge.engine.keeper import keeper
from flowforge.engine.outcomes import Result, conclude
from flowforge.engine.pace import BATCH_SECONDS
from flowforge.engine.plan import steps_named
from flowforge.engine.pulling import Pulling, pulling
from flowforge.engine.scope import Results, item_of
from flowforge.engine.store import runs as run_store
from flowforge.engine.store import steps as step_store
from flowforge.engine.store.rows import ClaimedRun, StepRow
from flowforge.engine.store.steps import Settlement
from flowforge.kernel.definition import Definition
from flowforge.operating.selectors import engine_paused
from runs.scope import scope_of

COMMIT_WINDOW_SECONDS = 0.02  # results wait at most so long for company
OVERDUE_SECONDS = 2 * BATCH_SECONDS  # what has not begun by then is handed back
TURN_SECONDS = 5.0  # a turn ends after a moment: who has waited for so long goes without one

Settle = Callable[[Sequence[Settlement]], list[Settlement]]
_last_chances = threading.Lock()


def work(run_id: uuid.UUID, queue: str, *, last_chance: bool = False) -> None:
    """Do ready steps of a run's queue until there are none. A doubled or late hint finds none.

    `last_chance`: those that have cost so many workers that one more would end them. They are done one at a time in
    this process, as long as they are short: what dies with one of them dies of it, not of a neighbour like it.
    """
    run = run_store.read_run(run_id)
    if run is None:
        return
    pulled = pulling(run, queue)
    try:
        _pull(run, pulled, last_chance)
    finally:
        pulled.away(threading.get_ident())


def _pull(run: ClaimedRun, pulled: Pulling, last_chance: bool) -> None:
    results = Results(run.id)
    while not pools.draining.is_set() and not engine_paused():
        pulled.at_it(threading.get_ident())
        with _turn(last_chance) as end_turn:
            steps = pulled.claim_last_chance() if last_chance else pulled.claim()
            if not steps:
                return
            began = time.monotonic()
            batch = Batch(run, pulled, results, steps, end_turn)
            batch.go()
        if batch.was_abandoned:
            return  # another thread has taken this one's place
        if batch.attempted:
            pulled.plan.pace.batch_took(pulled.queue, batch.attempted, time.monotonic() - began)


@contextmanager
def _turn(last_chance: bool) -> Iterator[Callable[[], None]]:
    """The one turn that this process has for last chances; gives what ends it early, when a step turns out long."""
    if not last_chance or not _last_chances.acquire(timeout=TURN_SECONDS):
        yield lambda: None
        return
    lock, held = threading.Lock(), [True]

    def end() -> None:
        with lock:
            if held:
                held.clear()
                _last_chances.release()

    try:
        yield end
    finally:
        end()


class Batch:
    """Claimed steps of one run on their way through one thread."""

    def __init__(
        self,
        run: ClaimedRun,
        pulled: Pulling,
        results: Results,
        steps: list[StepRow],
        end_turn: Callable[[], None],
    ) -> None:
        self.run = run
        self.plan = pulled.plan
        self.results = results
        self._pulled = pulled
        self._end_turn = end_turn
        self._thread = threading.get_ident()
        self._lock = threading.Lock()  # against the keeper, which may relieve us
        self._waiting = steps[::-1]
        self._done: list[tuple[StepRow, Result]] = []
        self.attempted = 0  # of the steps, by this thread
        self.was_abandoned = False  # this thread came back from a step that was ended without it

    def go(self) -> None:
        self.results.load(
            {name for row in self._waiting for name in steps_named(self.plan.config(self.plan.node(row)))}
        )
        began = last_commit = time.monotonic()
        while True:
            if pools.draining.is_set():
                self.relieve()  # what has not begun is the next process's
            elif self.attempted and time.monotonic() - began > OVERDUE_SECONDS:
                self._hand_back()  # they are not as short as those were by which we have claimed
            with self._lock:
                if not self._waiting:
                    break
                row = self._waiting.pop()
            self.attempted += 1
            result = self._attempt(row)
            with self._lock:
                self._done.append((row, result))
            if time.monotonic() - last_commit > COMMIT_WINDOW_SECONDS:
                self._commit()
                last_commit = time.monotonic()
        self._commit()

    def relieve(self) -> None:
        """Called by the keeper when the step that runs now is long: others' results and turns must not wait for it."""
        self._end_turn()
        self._pulled.away(self._thread)
        if not self._hand_back():  # as many were hinted as had nothing to do: now there is one less
            bell.work_now(self.run.id, self._pulled.queue)
        # the keeper has others to look after: it drives nothing, and waits for nothing
        self._commit(settle=self._pulled.settle_now, drive=bell.drive_now)

    def _hand_back(self) -> bool:
        """What has not begun goes to others, as nobody extends its leases; whether there was any."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        if waiting:
            step_store.hand_back(self.run.id, waiting, clock.now())
            queue = self._pulled.queue
            bell.work_now(self.run.id, queue, min(len(waiting), pools.width(queue)))
        return bool(waiting)

    def _attempt(self, row: StepRow) -> Result:
        execution = Execution(self.run, self.plan, self.plan.node(row), row)
        keeper.add(execution, reliever=self.relieve)
        try:
            return attempt(execution, scope_of(self.run, self.results, clock.now()) | item_of(self.run, row))
        finally:
            keeper.remove(execution)
            self.was_abandoned |= execution.is_abandoned

    def _commit(self, settle: Settle | None = None, drive: Callable[[uuid.UUID], None] = driver.drive) -> None:
        """Record what is done, and drive the run on if that frees a step."""
        with self._lock:
            done, self._done = self._done, []
        if not done:
            return
        failpoint("result.before_commit")
        settlements = [self._settlement(row, result) for row, result in done if not result.dropped]
        try:
            taken = (settle or self._pulled.settle)(settlements) if settlements else []
        except DatabaseError:
            with self._lock:
                self._done[:0] = done  # the keeper could not: the thread that does these comes later
            raise
        failpoint("result.after_commit")
        stopped = len(settlements) < len(done)
        if stopped or _concerns_driver(self.run, self.plan.definition, [each.row for each in taken]):
            drive(self.run.id)

    def _settlement(self, row: StepRow, result: Result) -> Settlement:
        row = replace(row)  # it may have to be concluded again
        events, cost = conclude(row, self.plan.node(row), result, clock.now(), random.random)
        return Settlement(row=row, events=events, cost=cost)


def _concerns_driver(run: ClaimedRun, definition: Definition, rows: list[StepRow]) -> bool:
    """Whether the run can move on because of these: a timer to set, a failure to judge, or a successor that is free.

    A join whose other sources are still on their way would only be looked at in vain: the last of them asks.
    """
    if any(row.status != "completed" for row in rows):
        return True
    if any(frees_item(run, node_id) for node_id in {row.node_id for row in rows if row.index >= 0}):
        return True
    settled = {row.node_id for row in rows if row.index < 0}
    if any(not definition.outgoing[node_id] for node_id in settled) and not step_store.any_live(run.id, None):
        return True
    targets = {edge.target for node_id in settled for edge in definition.outgoing[node_id]}
    return any(_may_begin(run.id, definition, target, settled) for target in targets)


def _may_begin(run_id: uuid.UUID, definition: Definition, target: str, settled: set[str]) -> bool:
    if definition.by_id[target].join != "all":
        return True
    sources = {edge.source for edge in definition.incoming[target]} - settled
    return not sources or not step_store.any_live(run_id, sources)
