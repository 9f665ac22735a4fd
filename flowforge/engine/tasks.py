"""Celery's side of the engine: shells around one call."""

import uuid

from celery import shared_task

from flowforge.core import bell, clock
from flowforge.engine import driver, pools, timers, worker
from flowforge.engine.presence import presence


@shared_task(name=bell.DRIVE, ignore_result=True)
def drive(run_id: str) -> None:
    """Look at this run."""
    with presence.answering(bell.CONTROL_QUEUE), pools.slot(bell.CONTROL_QUEUE):
        driver.drive(uuid.UUID(run_id))


@shared_task(name=bell.WORK, ignore_result=True)
def work(run_id: str, queue: str) -> None:
    """This run has steps for workers of this queue."""
    with presence.answering(queue), pools.slot(queue):
        worker.work(uuid.UUID(run_id), queue)


@shared_task(name="flowforge.engine.sweep", ignore_result=True)
def sweep() -> None:
    """Hint what is due: beat's part in what each worker process does by itself."""
    timers.run_once(clock.now())
