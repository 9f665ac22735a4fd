"""Celery's side of the engine: shells around one call."""

import uuid

from celery import shared_task

from flowforge.core import bell, clock
from flowforge.engine import pools, timers, worker
from flowforge.engine.drivers import drivers
from flowforge.engine.presence import presence


@shared_task(name=bell.DRIVE, ignore_result=True)
def drive(*run_ids: str) -> None:
    """Look at these runs. Hints of which the drivers have their fill already wait, so that other processes get some."""
    for run_id in run_ids:
        drivers.hint(uuid.UUID(run_id), wait_seconds=bell.EXPIRES_SECONDS)


@shared_task(name=bell.WORK, ignore_result=True)
def work(run_id: str, queue: str, which: str = "") -> None:
    """This run has steps for workers of this queue; `which`: bell.LAST_CHANCE or all others."""
    presence.took(queue, 1)
    with presence.answering(queue), pools.slot(queue):
        worker.work(uuid.UUID(run_id), queue, last_chance=which == bell.LAST_CHANCE)


@shared_task(name="flowforge.engine.sweep", ignore_result=True)
def sweep() -> None:
    """Hint what is due: beat's part in what each worker process does by itself."""
    timers.run_once(clock.now())
