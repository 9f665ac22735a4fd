"""What worker processes write of themselves: few statements, each an autocommit of its own."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from flowforge.core import clock
from flowforge.core.json import Json
from flowforge.workers.constants import KEPT_FOR
from flowforge.workers.models import Worker


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """What a process is from its start to its end."""

    name: str
    host: str
    pid: int
    version: str
    isolation: str
    started_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolProgress:
    """How one of its pools gets on."""

    slots: int  # hints that it answers at a time
    busy: int  # that it answers now, or is to
    heard_at: datetime | None  # when it last came back from listening to the broker
    hint_at: datetime | None  # when it last took a hint

    def stored(self) -> dict[str, Json]:
        moments = {"heard_at": clock.isoformat(self.heard_at), "hint_at": clock.isoformat(self.hint_at)}
        return asdict(self) | moments


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """What a process has done until now."""

    pools: Mapping[str, PoolProgress]
    hints_count: int
    steps_count: int
    running_count: int
    abandoned_count: int
    oldest_step_at: datetime | None
    swept_at: datetime | None


def record_heartbeat(identity: Identity, progress: Progress, *, now: datetime, draining: bool = False) -> None:
    """One UPDATE; an INSERT the first time, and where the row was cleaned away while the process stood still."""
    told = {
        "heartbeat_at": max(now, identity.started_at),  # the clock is set anew once in a while
        "pools": {queue: pool.stored() for queue, pool in progress.pools.items()},
        "hints_count": progress.hints_count,
        "steps_count": progress.steps_count,
        "running_count": progress.running_count,
        "abandoned_count": progress.abandoned_count,
        "oldest_step_at": progress.oldest_step_at,
        "swept_at": progress.swept_at,
    }
    if draining:
        told["draining_at"] = now
    if not Worker.objects.filter(name=identity.name).update(**told):
        Worker.objects.create(**asdict(identity), **told)


def record_stop(name: str, *, now: datetime) -> bool:
    """The process ends as it should; False if there is no such worker, or it has said so before."""
    stopping = Worker.objects.filter(name=name, stopped_at__isnull=True)
    return stopping.update(stopped_at=now, running_count=0, oldest_step_at=None) == 1


def record_all_dead(*, now: datetime) -> int:
    """For a process that knows that it is alone: whoever has not said that it ended was killed."""
    return Worker.objects.filter(stopped_at__isnull=True).update(stopped_at=now, running_count=0, oldest_step_at=None)


def purge(*, now: datetime, limit: int) -> int:
    """Delete at most `limit` workers that have long been dead; says how many."""
    dead = Worker.objects.filter(heartbeat_at__lte=now - KEPT_FOR).order_by("heartbeat_at")
    deleted, _ = Worker.objects.filter(pk__in=list(dead.values_list("pk", flat=True)[:limit])).delete()
    return deleted
