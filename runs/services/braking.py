"""Stopping what is on its way: `settings.RUNS_BRAKE`, which a freeze calls once it is committed."""

import uuid
from typing import Final

from django.db.models import F, Q

from flowforge.operating.constants import Scope
from runs.models import Run

_OF: Final = {"project": "project_id", "workflow": "workflow_id"}


def brake(scope: Scope, scope_id: uuid.UUID) -> None:
    """Make whoever drives a run of that scope, or claims steps of one, look again before a step begins.

    Who decides from now on sees the freeze itself. Who has decided before holds the run's lease, or the lock of the
    row of a run under way: touching these rows waits for the latter and refuses the former (its `pokes` are old).
    One row a transaction: two locks would have to be taken in everybody's order.
    """
    under_way = Run.objects.filter(finished_at__isnull=True).filter(
        Q(status="running") | Q(lease_expires_at__isnull=False)
    )
    if scope in _OF:
        under_way = under_way.filter(**{_OF[scope]: scope_id})
    for run_id in list(under_way.order_by().values_list("id", flat=True)):
        Run.objects.filter(id=run_id, finished_at__isnull=True).update(pokes=F("pokes") + 1)
