"""Celery's side of schedules: a shell around one call."""

import uuid

from celery import shared_task

from flowforge.core import clock
from flowforge.schedules.constants import TICK
from flowforge.schedules.services import firing


@shared_task(name=TICK, ignore_result=True)
def tick(schedule_id: str) -> None:
    """Look at this schedule: beat says that it is due."""
    firing.fire(uuid.UUID(schedule_id), clock.now())
