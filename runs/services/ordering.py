"""The order in which what has not begun will: its priority, and its moment."""

import uuid
from collections.abc import Callable

from django.db import transaction
from django.db.models import Max

from flowforge.core import bell, clock
from flowforge.core.errors import Conflict, NotFound
from runs import transitions
from runs.constants import INT32
from runs.gates import gates_before
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
    """Start a run that waits for its `run_at`, and put one that has to queue before all others of its queues.

    It breaks no limit: where there is no place it is the next. Raises Conflict (409) if it waits for neither, NotFound.
    """
    now = clock.now()
    with transaction.atomic():
        _lock(run_id)
        run = Run.objects.select_related("project").get(id=run_id)
        if not transitions.start_now(run_id, now, priority=_before_others(run)):
            raise Conflict(detail="The run waits neither for its run_at nor in a queue.")
        bell.drive(run_id)


def _before_others(run: Run) -> int:
    """A priority above that of whoever may stand in a queue with this run; its own if that is enough."""
    queues = [gate.id for gate in gates_before(run, run.project)]
    others = Run.objects.filter(queued_in__in=queues).exclude(id=run.id).order_by()
    highest: int | None = others.aggregate(highest=Max("priority"))["highest"]
    return run.priority if highest is None else min(max(run.priority, highest + 1), INT32[1])


def _lock(run_id: uuid.UUID) -> None:
    if not Run.objects.select_for_update().filter(id=run_id).values_list("id").first():
        raise NotFound(detail="There is no such run.")
