"""Timers and recovery are the same thing: each live run has `wake_at`, and someone looks at it when that has passed.

`Sweep.run_once` is the query that finds them, run every second by every worker process; `alarm` hints those that are
due within seconds precisely, so that a delay of 300 ms does not take a second. Losing an alarm costs a second.
"""

import heapq
import logging
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import DatabaseError, connections

from flowforge.core import bell, clock
from flowforge.core.failpoints import failpoint
from flowforge.engine import housekeeping, thawing
from flowforge.engine.admission import Queues
from flowforge.engine.fleet import WATCH_SECONDS, Watch
from flowforge.engine.presence import presence
from flowforge.engine.store import maintenance
from flowforge.operating.selectors import engine_paused
from runs.services.publishing import resume_matching

SWEEP_SECONDS = 1.0
SWEEP_LIMIT = 200
AGAIN_AFTER = timedelta(seconds=5)  # a run that was hinted is hinted again after so long if nobody came
ALARM_HORIZON = timedelta(seconds=10)

log = logging.getLogger("flowforge.engine")


@dataclass(frozen=True, slots=True)
class Swept:
    hinted: int


def run_once(now: datetime, limit: int = SWEEP_LIMIT) -> Swept:
    """Let go of what thaws, and hint the runs that are due; not while the engine is paused."""
    if engine_paused():
        return Swept(0)
    thawing.run_once(now)
    if not maintenance.has_due_runs(now):
        return Swept(0)
    due = maintenance.take_due_runs(now, limit, AGAIN_AFTER)
    failpoint("sweep.after_take")
    bell.drive_overdue(*due)
    return Swept(len(due))


class Alarm:
    """Hints runs at their moment, from one thread that sweeps in between."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._heap: list[tuple[datetime, uuid.UUID]] = []
        self._wanted: dict[uuid.UUID, datetime] = {}  # the newest moment of each run: others in the heap are void
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._queues = Queues()

    def at(self, moment: datetime | None, run_id: uuid.UUID) -> None:
        """Hint `run_id` at `moment` if that is soon, and not when it was said before; later ones are the sweep's."""
        if self._thread is None:
            return
        with self._change:
            if moment is None or moment - clock.now() > ALARM_HORIZON:
                self._wanted.pop(run_id, None)
                return
            self._wanted[run_id] = moment
            heapq.heappush(self._heap, (moment, run_id))
            if self._heap[0][1] == run_id:
                self._change.notify()

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop, name="timers", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        with self._change:
            self._stopping = True
            self._change.notify()
        if self._thread is not None:
            self._thread.join(timeout=5)
            self._thread = None

    def _loop(self) -> None:
        chores = self._chores(clock.now())
        try:
            while not self._stopping:
                self._guarded(self._ring_due)
                for chore in chores:
                    if clock.now() >= chore.due_at:
                        self._guarded(chore.do)
                        chore.due_at = clock.now() + chore.every
                self._sleep_until(min(chore.due_at for chore in chores))
        finally:
            connections.close_all()

    def _chores(self, now: datetime) -> "list[_Chore]":
        every, rarely = timedelta(seconds=WATCH_SECONDS), timedelta(seconds=housekeeping.EVERY_SECONDS)
        watch = Watch()
        return [
            _Chore(do=self._sweep, every=timedelta(seconds=SWEEP_SECONDS), due_at=now),
            _Chore(do=lambda: watch.run_once(clock.now()), every=every, due_at=now),
            _Chore(do=lambda: housekeeping.run_once(clock.now()), every=rarely, due_at=now + rarely),
        ]

    def _take_due(self, now: datetime) -> list[uuid.UUID]:
        due = []
        with self._change:
            while self._heap and self._heap[0][0] <= now:
                moment, run_id = heapq.heappop(self._heap)
                if self._wanted.get(run_id) == moment:
                    del self._wanted[run_id]
                    due.append(run_id)
        return due

    def _ring_due(self) -> None:
        bell.drive_now(*self._take_due(clock.now()))

    def _sweep(self) -> None:
        run_once(clock.now())
        for run_id, at in self._queues.run_once(clock.now()):
            self.at(at, run_id)
        resume_matching(clock.now())
        presence.swept()

    def _guarded(self, do: Callable[[], object]) -> None:
        """Nothing that goes wrong here ends the thread."""
        try:
            do()
        except DatabaseError as error:  # the database will be back: so shall we
            log.warning("timers: %s", error)
            connections.close_all()
        except Exception:
            log.exception("timers: failed")

    def _sleep_until(self, moment: datetime) -> None:
        with self._change:
            if self._stopping:
                return
            until = min(moment, self._heap[0][0]) if self._heap else moment
            self._change.wait(max(0.0, min((until - clock.now()).total_seconds(), SWEEP_SECONDS)))


@dataclass(kw_only=True, slots=True)
class _Chore:
    """What the timers' thread does in between, again and again."""

    do: Callable[[], object]
    every: timedelta
    due_at: datetime


alarm = Alarm()
