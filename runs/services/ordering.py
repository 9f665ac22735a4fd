"""The order in which what has not begun will: its priority, and its moment."""

import uuid
from collections.abc import Callable

from django.db import transaction

from flowforge.core import bell, clock
from flowforge.core.errors import Conflict, NotFound
from runs import transitions
from runs.models import Run


def change_priority(*, run_id: uuid.UUID, priority: int, check: Callable[[], None]) -> None:
    """Give a pending run another priority. `check` is called once the row is locked, and may refuse by raising.

    Raises Conflict (409) if the run has begun, NotFound.
    """
    with transaction.atomic():
        _lock(run_id)
        check()
        if not Run.objects.filter(id=run_id, status="pending").update(priority=priority):
            raise Conflict(detail="The run has begun: its priority means nothing any more.")


def run_now(*, run_id: uuid.UUID) -> None:
    """Start a run that waits for its `run_at`. Raises Conflict (409) if it does not, NotFound."""
    with transaction.atomic():
        if transitions.start_now(run_id, clock.now()):
            bell.drive(run_id)
            return
        _lock(run_id)
    raise Conflict(detail="The run does not wait for its run_at.")


def _lock(run_id: uuid.UUID) -> None:
    if not Run.objects.select_for_update().filter(id=run_id).values_list("id").first():
        raise NotFound(detail="There is no such run.")
