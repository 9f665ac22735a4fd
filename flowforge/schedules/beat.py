"""django-celery-beat's scheduler, ringing at the schedules' own due times.

A row of beat has an interval alone: what a stock DatabaseScheduler goes by. Named in CELERY_BEAT_SCHEDULER, this one
asks the schedule behind the row instead, so that a daily run does not cost a message a minute, and its bell comes
when it is due.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from celery import schedules
from django.db.models import QuerySet
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from flowforge.core import clock
from flowforge.kernel.schedules import Recurrence
from flowforge.schedules.recurrences import recurrence_of

LOOK_AGAIN_SECONDS = 60.0  # where nothing is due any more: an edit makes beat read its rows anew before that

log = logging.getLogger("flowforge.schedules")


@dataclass(frozen=True)
class DueTimes:
    """What Celery asks of a schedule. Equal for equal due times: beat compares, to see whether a row has changed."""

    recurrence: Recurrence

    def is_due(self, last_run_at: datetime) -> Any:
        """(whether to ring, seconds to the next look). A ring that is late or comes twice is no harm."""
        now, due_at = clock.now(), self.recurrence.next_after(last_run_at)
        if due_at is None:
            return schedules.schedstate(False, LOOK_AGAIN_SECONDS)
        seconds = (self.recurrence.fires_at(due_at) - now).total_seconds()
        if seconds > 0:
            return schedules.schedstate(False, seconds)
        following = self.recurrence.next_after(now)
        if following is None:
            return schedules.schedstate(True, LOOK_AGAIN_SECONDS)
        return schedules.schedstate(True, (self.recurrence.fires_at(following) - now).total_seconds())


class Entry(ModelEntry):
    """A row of beat; one that is a schedule's mirror goes by that."""

    def __init__(self, model: Any, app: Any = None) -> None:
        super().__init__(model, app=app)
        schedule = getattr(model, "flowforge_schedule", None)
        if schedule is None:
            return
        try:
            self.schedule = DueTimes(recurrence_of(schedule))
        except ValueError as error:  # the sweep puts it aside; until then the interval rings
            log.warning("schedule %s: %s", schedule.pk, error)


class Scheduler(DatabaseScheduler):
    """Reads schedules along with their rows: one query, however many there are."""

    Entry = Entry

    def enabled_models_qs(self) -> QuerySet[PeriodicTask]:
        rows: QuerySet[PeriodicTask] = super().enabled_models_qs()
        return rows.select_related("interval", "flowforge_schedule")
