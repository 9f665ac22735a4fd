"""Each schedule's row of django-celery-beat: beat sends `schedules.tick` with its id when it is due.

The row is a mirror and its message a hint: beat may be away, doubled, late or wrong about daylight saving, and its
admin may edit or delete the row, without any effect but on how soon a tick is looked at. Its interval is what a stock
DatabaseScheduler goes by; `flowforge.schedules.beat` rings at the due times themselves.
"""

import json
from typing import Final

from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks

from flowforge.core.bell import CONTROL_QUEUE
from flowforge.schedules.constants import TICK
from flowforge.schedules.models import Schedule
from flowforge.schedules.recurrences import length

MINUTE: Final = 60  # how often stock beat looks at cron and one-off schedules
MAX_SECONDS: Final = 3600


def hang(schedule: Schedule) -> None:
    """Make or correct the schedule's row; it rings while the schedule is to be looked at."""
    fields = {
        "task": TICK,
        "args": json.dumps([str(schedule.pk)]),
        "interval": _interval(_seconds(schedule)),
        "queue": CONTROL_QUEUE,
        "expire_seconds": MINUTE,
        "enabled": schedule.next_run_at is not None,
        "description": f"{schedule.name}: kept by FlowForge, edit the schedule instead.",
    }
    task, _ = PeriodicTask.objects.update_or_create(name=f"schedule {schedule.pk}", defaults=fields)
    if schedule.periodic_task_id != task.pk:
        schedule.periodic_task = task
        Schedule.objects.filter(pk=schedule.pk).update(periodic_task=task)


def switch(schedule: Schedule) -> None:
    """Let the row ring or rest, as the schedule does."""
    enabled = schedule.next_run_at is not None
    if PeriodicTask.objects.filter(pk=schedule.periodic_task_id).exclude(enabled=enabled).update(enabled=enabled):
        PeriodicTasks.update_changed()


def take_down(schedule: Schedule) -> None:
    """Remove the row of a schedule that goes."""
    PeriodicTask.objects.filter(name=f"schedule {schedule.pk}").delete()


def mend(limit: int = 1000) -> int:
    """Hang the bells of schedules whose row somebody has deleted; says how many."""
    bare = list(Schedule.objects.filter(periodic_task=None, next_run_at__isnull=False)[:limit])
    for schedule in bare:
        hang(schedule)
    return len(bare)


def _seconds(schedule: Schedule) -> int:
    """Of a row that is corrupted, too: it must not keep beat from starting."""
    if schedule.kind != "interval":
        return MINUTE
    try:
        every = length(schedule.every)
    except ValueError:
        return MINUTE
    return min(max(round(every.total_seconds()), 1), MAX_SECONDS)


def _interval(seconds: int) -> IntervalSchedule:
    """Of two that were made at the same time, the first: nothing in beat's table forbids both."""
    kind = {"every": seconds, "period": IntervalSchedule.SECONDS}
    return IntervalSchedule.objects.filter(**kind).order_by("pk").first() or IntervalSchedule.objects.create(**kind)
