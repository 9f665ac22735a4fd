"""Reading the fleet: who serves what, and who gets on. Its cost follows the number of workers."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum

from flowforge.workers.constants import ALIVE_FOR, MAX_SHOWN, SILENT_AFTER
from flowforge.workers.models import Worker


class Standing(StrEnum):
    """What can be said of a worker from its row."""

    WORKING = "working"
    STUCK = "stuck"  # it breathes, but does not take what there is to do
    DRAINING = "draining"  # it ends, and claims nothing any more
    LOST = "lost"  # it fell silent without saying that it ends
    STOPPED = "stopped"


def live_workers(now: datetime) -> list[Worker]:
    """Those that breathe, the draining too."""
    return list(Worker.objects.filter(stopped_at__isnull=True, heartbeat_at__gt=now - ALIVE_FOR)[:MAX_SHOWN])


def queues_served(now: datetime) -> frozenset[str]:
    """The queues of which a live worker takes steps: one query. A draining one takes none."""
    return frozenset(slots_by_queue(live_workers(now)))


def slots_by_queue(workers: Iterable[Worker]) -> dict[str, int]:
    """How many hints each queue's workers answer at a time, all together; draining ones answer none."""
    found: dict[str, int] = {}
    for worker in workers:
        if worker.draining_at is None:
            for queue, pool in worker.pools.items():
                found[queue] = found.get(queue, 0) + pool["slots"]
    return found


def busy_by_queue(workers: Iterable[Worker]) -> dict[str, int]:
    """How many hints they answer now, or are to."""
    found: dict[str, int] = {}
    for worker in workers:
        if worker.draining_at is None:
            for queue, pool in worker.pools.items():
                found[queue] = found.get(queue, 0) + pool["busy"]
    return found


def standing(worker: Worker, now: datetime, ready_since: Mapping[str, datetime]) -> Standing:
    """How a worker does. `ready_since`: for each queue in which steps are ready, since when the oldest has been."""
    if worker.stopped_at is not None:
        return Standing.STOPPED
    if worker.heartbeat_at <= now - ALIVE_FOR:
        return Standing.LOST
    if worker.draining_at is not None:
        return Standing.DRAINING
    return Standing.STUCK if silent_pools(worker, now, ready_since) else Standing.WORKING


def silent_pools(worker: Worker, now: datetime, ready_since: Mapping[str, datetime]) -> list[str]:
    """Its queues whose pool does not listen, or takes no hint though a slot is free and steps have long been ready."""
    late = now - SILENT_AFTER
    found = []
    for queue, pool in sorted(worker.pools.items()):
        deaf = _moment(pool["heard_at"], worker.started_at) <= late
        idle = pool["busy"] < pool["slots"] and _moment(pool["hint_at"], worker.started_at) <= late
        waits = queue in ready_since and ready_since[queue] <= late
        if deaf or (idle and waits):
            found.append(queue)
    return found


def _moment(stored: str | None, otherwise: datetime) -> datetime:
    return otherwise if stored is None else datetime.fromisoformat(stored)
