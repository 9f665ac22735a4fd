"""The health answer: one look at each part, each within two seconds. Nothing is cached: it is what is.

What asks the database is done in the caller's thread, under a limit of the database's own; broker and disk in threads
of their own, as neither bounds itself.
"""

import os
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from celery import current_app
from django.conf import settings
from django.db import connection, transaction
from django.utils.module_loading import import_string

from flowforge.assets.services.storing import check_store
from flowforge.assets.storage import StoreFailed
from flowforge.core import clock
from flowforge.core.bell import CONTROL_QUEUE
from flowforge.insights.components import MAX_SECONDS, Component, Status, Verdict, look, look_within, worst
from flowforge.steps.levels import LEVELS
from flowforge.workers.models import Worker
from flowforge.workers.selectors import Standing, live_workers, slots_by_queue, standing
from runs.readiness import ReadyQueue, ready_queues

SLOW: Final = timedelta(milliseconds=500)
UNSERVED_AFTER: Final = timedelta(seconds=10)  # a worker that starts is not expected to be faster
SWEPT_WITHIN: Final = timedelta(seconds=15)  # sweeps come every second, and are told of every five
OVERDUE_AFTER: Final = timedelta(seconds=60)  # schedules are looked at once a second
SWEEPLESS: Final = timedelta(seconds=60)
LOW_BYTES: Final = 1024**3
LOW_SHARE: Final = 0.05
NO_BYTES: Final = 100 * 1024**2


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """The whole, its parts, and how steps are isolated."""

    status: Status
    components: list[Component]
    isolation: str | None  # the weakest level of a live worker; None: there is none
    levels: dict[str, int]  # live workers by level


def health() -> Health:
    """Look at every part. Raises DatabaseError only where not even a transaction can be begun."""
    broker, storage = look_within("Broker", _broker), look_within("Storage", _storage)
    now = clock.now()
    with _bounded():
        database = look("Database", _database)
        fleet = _Fleet(now)
        workers, scheduler = look("Workers", fleet.workers), look("Scheduler", fleet.scheduler)
    components = [database, broker(), workers, scheduler, storage()]
    return Health(
        status=worst(component.status for component in components),
        components=components,
        isolation=min(fleet.levels, key=_rank, default=None),
        levels=dict(fleet.levels),
    )


@contextmanager
def _bounded() -> Iterator[None]:
    """Statements within take no longer than a look may. SQLite's readers wait for nobody."""
    if connection.vendor != "postgresql":
        yield
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(int(MAX_SECONDS * 1000))])
        yield


def _database() -> Verdict:
    began = clock.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    if clock.now() - began > SLOW:
        return Verdict(status="DEGRADED", detail="It answers slowly.")
    return Verdict(status="HEALTHY", detail="It answers.")


def _broker() -> Verdict:
    """A connection of its own, so that one that has broken unnoticed says nothing."""
    found: Any = current_app.connection_for_read()
    with found:
        found.channel().close()  # opening it speaks with the broker
    return Verdict(status="HEALTHY", detail="In this process." if settings.EMBEDDED else "It answers.")


def _storage() -> Verdict:
    probe = settings.HOME / f"health-{secrets.token_hex(8)}"
    try:
        with open(probe, "xb") as file:
            file.write(b"works")
    finally:
        probe.unlink(missing_ok=True)
    try:
        check_store()
    except StoreFailed as error:
        return Verdict(status="UNHEALTHY", detail=f"The store of assets: {error}.")
    return storage_verdict(*shutil.disk_usage(os.fspath(settings.HOME))[::2])


def storage_verdict(total: int, free: int) -> Verdict:
    detail = f"Writable; {free / 1024**3:.1f} GiB free."
    if free < NO_BYTES:
        return Verdict(status="UNHEALTHY", detail=detail)
    low = free < LOW_BYTES or free < total * LOW_SHARE
    return Verdict(status="DEGRADED" if low else "HEALTHY", detail=detail)


class _Fleet:
    """The workers at one moment. What cannot be read is said by each look at it."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._live: list[Worker] = []
        self.levels: Counter[str] = Counter()

    def workers(self) -> Verdict:
        self._live = live_workers(self._now)
        self.levels = Counter(worker.isolation for worker in self._live)
        serving = slots_by_queue(self._live)
        if not serving:
            return Verdict(status="UNHEALTHY", detail="No worker lives.")
        ready = ready_queues(self._now)
        complaints = [*self._complaints(ready), *self._unserved(ready, serving)]
        served = ", ".join(f"{queue} ({count})" for queue, count in sorted(serving.items()))
        detail = " ".join([*complaints, f"Workers: {len(self._live)}. Queues with slots: {served}."])
        return Verdict(status="DEGRADED" if complaints else "HEALTHY", detail=detail)

    def scheduler(self) -> Verdict:
        swept = max((worker.swept_at for worker in self._live if worker.swept_at is not None), default=None)
        if swept is None or swept < self._now - SWEEPLESS:
            return Verdict(status="UNHEALTHY", detail="Nobody looks for runs whose moment has come.")
        late = swept < self._now - SWEPT_WITHIN
        detail = f"The last look for due runs was {max(0.0, (self._now - swept).total_seconds()):.0f} s ago."
        count_overdue: Callable[[datetime], int] = import_string(settings.OVERDUE_SCHEDULES)
        overdue = count_overdue(self._now - OVERDUE_AFTER)
        if overdue:
            detail = f"Schedules that are overdue: {overdue}. {detail}"
        return Verdict(status="DEGRADED" if late or overdue else "HEALTHY", detail=detail)

    def _complaints(self, ready: dict[str, ReadyQueue]) -> Iterator[str]:
        since = {queue: found.unhindered_since for queue, found in ready.items()}
        waiting = {queue: moment for queue, moment in since.items() if moment is not None}
        stuck = sum(standing(worker, self._now, waiting) == Standing.STUCK for worker in self._live)
        if stuck:
            yield f"Stuck: {stuck}."

    def _unserved(self, ready: dict[str, ReadyQueue], serving: dict[str, int]) -> Iterator[str]:
        if CONTROL_QUEUE not in serving:
            yield f"Nobody drives runs (queue {CONTROL_QUEUE})."
        missed = [
            queue
            for queue, found in sorted(ready.items())
            if queue not in serving and found.since <= self._now - UNSERVED_AFTER
        ]
        if missed:
            yield f"Steps wait, and nobody serves: {', '.join(missed)}."


def _rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else -1
