"""Reading schedules and what hangs on them."""

import uuid
from collections.abc import Collection
from datetime import datetime

from django.db.models import F, Q, QuerySet

from flowforge.api.caller import Caller
from flowforge.core.errors import NotFound
from flowforge.kernel.schedules import Standing
from flowforge.projects.scoping import get_visible
from flowforge.schedules.constants import TRIGGER
from flowforge.schedules.models import Backfill, Schedule
from runs.models import Run
from workflows import decisions
from workflows.models import TriggerDecision

READ = "schedules:read"


def get_schedule(caller: Caller, schedule_id: uuid.UUID | str, scope: str = READ) -> Schedule:
    """With its workflow. Raises NotFound (404) where the caller cannot see it, PermissionMissing (403)."""
    return get_visible(Schedule.objects.select_related("workflow"), caller, schedule_id, scope)


def due_schedules(now: datetime, limit: int) -> list[uuid.UUID]:
    """Those that someone has to look at, the most overdue first."""
    due = Schedule.objects.filter(next_run_at__lte=now).order_by("next_run_at")
    return list(due.values_list("id", flat=True)[:limit])


def overdue_schedules(before: datetime, limit: int) -> list[Schedule]:
    """Those that somebody should have looked at before a moment, and that nobody was told of."""
    untold = Q(missed_told_until=None) | Q(missed_told_until__lt=F("next_due_at"))
    overdue = Schedule.objects.filter(untold, next_run_at__lte=before, next_due_at__isnull=False)
    return list(overdue.order_by("next_run_at")[:limit])


def count_overdue(before: datetime) -> int:
    """Schedules that somebody should have looked at before a moment: none, where the clockwork works."""
    return Schedule.objects.filter(next_run_at__lte=before).count()


def next_moment() -> datetime | None:
    """When the next schedule has to be looked at."""
    coming = Schedule.objects.filter(next_run_at__isnull=False).order_by("next_run_at")
    return coming.values_list("next_run_at", flat=True).first()


def actor_of(schedule_id: uuid.UUID) -> str:
    """What `created_by` says of the runs of its ticks; those of backfills and of people say otherwise."""
    return f"{TRIGGER}:{schedule_id}"


def live_runs_of(schedule_id: uuid.UUID, actor: str | None = None) -> QuerySet[Run]:
    """Runs of its ticks (or, with `actor`, of a backfill) that have not ended."""
    return Run.objects.filter(trigger_id=str(schedule_id), created_by=actor or actor_of(schedule_id), finished_at=None)


def standing_of(schedule: Schedule) -> Standing:
    """What there is of it, as far as its policy asks."""
    if schedule.overlap == "allow":
        return Standing()
    live = live_runs_of(schedule.pk).count()
    queued = waiting_of(schedule.pk).count() if schedule.overlap == "queue" else 0
    return Standing(live=live, queued=queued)


def waiting_of(schedule_id: uuid.UUID) -> QuerySet[TriggerDecision]:
    """Its due times that wait for a run to end, the oldest first."""
    return decisions.waiting(TRIGGER).filter(trigger_id=str(schedule_id))


def schedules_that_wait(limit: int) -> list[uuid.UUID]:
    """Schedules with a due time that waits, and no run that it could wait for."""
    waiting = decisions.waiting(TRIGGER).order_by("trigger_id").values_list("trigger_id", flat=True).distinct()
    ids = [uuid.UUID(text) for text in waiting[:limit]]
    if not ids:
        return []
    actors = [actor_of(schedule_id) for schedule_id in ids]
    live = Run.objects.filter(trigger_id__in=list(map(str, ids)), created_by__in=actors, finished_at=None)
    busy = set(live.values_list("trigger_id", flat=True))
    return [schedule_id for schedule_id in ids if str(schedule_id) not in busy]


def running_backfills(limit: int) -> list[uuid.UUID]:
    """Those that are to go on, the oldest first."""
    return list(Backfill.objects.filter(finished_at=None).order_by("id").values_list("id", flat=True)[:limit])


def get_backfill(schedule_id: uuid.UUID, backfill_id: uuid.UUID) -> Backfill:
    """Raises NotFound."""
    found = Backfill.objects.filter(schedule_id=schedule_id, id=backfill_id).first()
    if found is None:
        raise NotFound(detail="The schedule has no such backfill.")
    return found


def start_key(schedule_id: uuid.UUID, due_at: datetime) -> str:
    """What makes the run of a due time the only one: `runs.models.Run.start_key`, unique for ever."""
    return f"{TRIGGER}:{schedule_id}:{due_at:%Y-%m-%dT%H:%M:%S.%fZ}"


def runs_of_dues(schedule_id: uuid.UUID, dues: Collection[datetime]) -> dict[str, uuid.UUID]:
    """Start key -> run, of those due times that have one."""
    keys = [start_key(schedule_id, due_at) for due_at in dues]
    found = Run.objects.filter(start_key__in=keys).values_list("start_key", "id")
    return {key: run_id for key, run_id in found if key is not None}
