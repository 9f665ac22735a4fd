"""Asking something of a run. These write the wish and ring; the engine alone makes it state, and tells it."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, Q

from flowforge.core import bell, clock
from flowforge.core.errors import Conflict, NotFound
from flowforge.kernel.states import ENDED_RUN_STATUSES, LIVE_RUN_STATUSES
from runs.models import Run
from runs.selectors import live_runs

_ROUNDS = 5  # more than one is a rarity


def cancel_run(*, run_id: uuid.UUID) -> None:
    """Ask a run to end; asking twice changes nothing. Raises Conflict if it has ended, NotFound."""
    now = clock.now()
    _wish(run_id, Q(cancel_requested_at__isnull=True), {"cancel_requested_at": now}, now)


def pause_run(*, run_id: uuid.UUID) -> None:
    """Ask that no new step begins; asking twice changes nothing. Raises Conflict if it has ended, NotFound."""
    now = clock.now()
    _wish(run_id, Q(pause_requested_at__isnull=True), {"pause_requested_at": now}, now)


def resume_run(*, run_id: uuid.UUID) -> None:
    """Take a pause back. Raises Conflict if none was asked for or the run has ended, NotFound."""
    now = clock.now()
    if not _wish(run_id, Q(pause_requested_at__isnull=False), {"pause_requested_at": None}, now):
        raise Conflict(detail="The run is not paused.")


def cancel_live_runs(*, workflow_id: uuid.UUID) -> int:
    """Ask all live runs of a workflow to end; answers how many were asked."""
    with transaction.atomic():
        return ask_to_cancel(list(live_runs(workflow_id).values_list("id", flat=True)))


def ask_to_cancel(run_ids: Sequence[uuid.UUID], reason: str = "") -> int:
    """Ask those of these runs to end that have not ended and were not asked before; answers how many.

    Within the caller's transaction. `reason`: what asks, where that is no person. Rows are locked in the order of
    their ids, lest two callers wait for each other.
    """
    now = clock.now()
    fit = Run.objects.filter(id__in=run_ids, status__in=LIVE_RUN_STATUSES, cancel_requested_at__isnull=True)
    ids = list(fit.select_for_update().order_by("id").values_list("id", flat=True))
    count = fit.filter(id__in=ids).update(
        cancel_requested_at=now, cancel_reason=reason, wake_at=now, pokes=F("pokes") + 1
    )
    bell.drive(*ids)
    return count


def _wish(run_id: uuid.UUID, only: Q, wish: Mapping[str, Any], now: datetime) -> bool:
    """Write a wish; False if it was there already. Raises Conflict if the run has ended, NotFound.

    A run may be retried between our finding it ended and our saying so: then it is asked again.
    """
    for _ in range(_ROUNDS):
        if _ask(run_id, only, wish, now):
            return True
        _require_live(run_id)
        if not Run.objects.filter(only, id=run_id).exists():
            return False
    raise Conflict(detail="The run is ending and beginning again.")


def _ask(run_id: uuid.UUID, only: Q, wish: Mapping[str, Any], now: datetime) -> bool:
    """Write a wish to a live run for which `only` still holds, wake it and ring; False if there is none.

    `pokes` tells whoever holds the run's lease to look again before letting go; `wake_at` makes the sweep find it
    should the bell be lost.
    """
    with transaction.atomic():
        asked = Run.objects.filter(only, id=run_id, status__in=LIVE_RUN_STATUSES).update(
            pokes=F("pokes") + 1, wake_at=now, **wish
        )
        if asked:
            bell.drive(run_id)
    return asked == 1


def _require_live(run_id: uuid.UUID) -> None:
    status = Run.objects.filter(id=run_id).values_list("status", flat=True).first()
    if status is None:
        raise NotFound(detail="There is no such run.")
    if status in ENDED_RUN_STATUSES:
        raise Conflict(detail=f"The run has ended already: it is {status}.")
