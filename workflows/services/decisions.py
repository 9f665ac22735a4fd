"""The ledger of triggers: each tick, call and event leaves a row that says what became of it, and why.

Written in the transaction that does what it tells, so that neither is there without the other.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Count, Q

from workflows.models import TriggerDecision

KEPT: Final = timedelta(days=30)
KEPT_OF_EACH: Final = 10_000  # of one trigger: what ticks every second fills no disk
_CHUNK: Final = 500
_OPEN: Final = Q(decision="deferred", run_id=None)  # it is not done with


@dataclass(frozen=True, kw_only=True, slots=True)
class Trigger:
    """Whose decisions."""

    project_id: uuid.UUID
    type: str
    id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """One row to be."""

    decision: str  # one of constants.DECISIONS
    reason: str
    detail: str = ""
    due_at: datetime | None = None
    until_at: datetime | None = None
    run_id: uuid.UUID | None = None


def record_decisions(*, trigger: Trigger, decisions: Sequence[Decision], now: datetime) -> None:
    """Add to the ledger, in the caller's transaction. A due time that has its decision raises IntegrityError."""
    rows = [
        TriggerDecision(
            project_id=trigger.project_id,
            trigger_type=trigger.type,
            trigger_id=trigger.id,
            created_at=now,
            decision=found.decision,
            reason=found.reason,
            detail=found.detail[:500],
            due_at=found.due_at,
            until_at=found.until_at,
            run_id=found.run_id,
        )
        for found in decisions
    ]
    TriggerDecision.objects.bulk_create(rows, batch_size=_CHUNK)


def settle_waiting(
    *, decision_id: uuid.UUID, run_id: uuid.UUID | None, decision: str = "deferred", reason: str, detail: str = ""
) -> bool:
    """Say what became of a tick that had to wait: it has a run now, or never gets one; False if that is known."""
    changed = TriggerDecision.objects.filter(_OPEN, id=decision_id).update(
        run_id=run_id, decision=decision, reason=reason, detail=detail[:500]
    )
    return changed == 1


def purge(*, now: datetime, limit: int) -> int:
    """Delete at most `limit` decisions that are too old, or too many of one trigger; says how many."""
    aged = TriggerDecision.objects.exclude(_OPEN).filter(created_at__lt=now - KEPT).order_by("created_at")
    count = _delete(list(aged.values_list("id", flat=True)[:limit]))
    by_trigger = TriggerDecision.objects.order_by().values_list("trigger_type", "trigger_id")
    for kind, trigger_id, total in by_trigger.annotate(total=Count("id")).filter(total__gt=KEPT_OF_EACH):
        surplus = min(total - KEPT_OF_EACH, limit - count)
        rows = TriggerDecision.objects.exclude(_OPEN).filter(trigger_type=kind, trigger_id=trigger_id)
        count += _delete(list(rows.order_by("created_at", "id").values_list("id", flat=True)[: max(surplus, 0)]))
    return count


def _delete(ids: Sequence[uuid.UUID]) -> int:
    deleted = 0
    for first in range(0, len(ids), _CHUNK):
        deleted += TriggerDecision.objects.filter(id__in=ids[first : first + _CHUNK]).delete()[0]
    return deleted
