"""What looks at schedules in every worker process, at the moment they are due and once a second at the latest.

Beat rings as well, and so may anything else: who comes second finds nothing to do. Timers and recovery are the same
thing here, too: a due time that nobody looked at stays before the cursor, and the next look finds it.
"""

import logging
import threading
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import DatabaseError, connections

from flowforge.core import clock
from flowforge.schedules import selectors
from flowforge.schedules.services import backfills, firing, waiting

LIMIT: Final = 500  # schedules that one round looks at
MAX_HELPINGS: Final = 20  # of one schedule in a round, where its due times come in several
MAX_FAILURES: Final = 3  # in a row
SHORTEST_WAIT: Final = 0.005  # somebody else is at what is due: do not ask the database without a break
SECOND: Final = timedelta(seconds=1)

log = logging.getLogger("flowforge.schedules")


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """What one look around has done."""

    fired: int = 0  # runs of due times
    released: int = 0  # runs of due times that had waited
    backfilled: int = 0  # due times that backfills are done with


def run_once(now: datetime, limit: int = LIMIT) -> Round:
    """Fire what is due, let go what has waited, go on with backfills."""
    return Round(
        fired=fire_due(now, limit),
        released=_each(selectors.schedules_that_wait(limit), lambda key: waiting.release_next(key, now)),
        backfilled=_each(selectors.running_backfills(limit), lambda key: backfills.go_on(key, now)),
    )


def fire_due(now: datetime, limit: int = LIMIT) -> int:
    """Fire the schedules that are due; says how many runs have started."""
    return _each(selectors.due_schedules(now, limit), lambda key: _fire(key, now))


def _fire(schedule_id: uuid.UUID, now: datetime) -> int:
    started = 0
    for _ in range(MAX_HELPINGS):
        found = firing.fire(schedule_id, now)
        started += found.started
        if not found.more:
            break
    return started


def _each(ids: Iterable[uuid.UUID], call: Callable[[uuid.UUID], int]) -> int:
    """What they come to. One that the database refuses is passed over; several in a row: it is away, raises that."""
    total = failures = 0
    for key in ids:
        try:
            total += call(key)
            failures = 0
        except DatabaseError as error:
            failures += 1
            log.warning("schedules: %s: %s", key, error)
            if failures == MAX_FAILURES:
                raise
    return total


class Clockwork:
    """One thread: sleeps until the next due time, a second at most."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._next_round = clock.now()

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop, name="schedules", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
            self._thread = None

    def _loop(self) -> None:
        try:
            while not self._stop.wait(self._seconds_to_wait()):
                self._tick()
        finally:
            connections.close_all()

    def _tick(self) -> None:
        """Nothing that goes wrong here ends the thread."""
        now = clock.now()
        try:
            if now < self._next_round:
                fire_due(now)
                return
            self._next_round = now + SECOND
            run_once(now)
        except DatabaseError as error:  # the database will be back: so shall we
            log.warning("schedules: %s", error)
            connections.close_all()
        except Exception:
            log.exception("schedules: failed")

    def _seconds_to_wait(self) -> float:
        now, coming = clock.now(), None
        try:
            coming = selectors.next_moment()
        except DatabaseError:
            connections.close_all()
        seconds = (min(coming or self._next_round, self._next_round) - now).total_seconds()
        return min(max(seconds, SHORTEST_WAIT), 1.0)
