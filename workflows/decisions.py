"""Reading the ledger of triggers: what each did with its ticks, calls and events."""

from collections.abc import Mapping
from typing import Any, Final, cast

from django.db.models import QuerySet

from flowforge.core.clock import isoformat
from flowforge.core.json import Json
from workflows.models import TriggerDecision

_COLUMNS: Final = ("id", "created_at", "decision", "reason", "detail", "due_at", "until_at", "run_id")

Rows = QuerySet[TriggerDecision, dict[str, Any]]


def decisions_of(trigger_type: str, trigger_id: str) -> Rows:
    """One trigger's decisions, as rows to be paged. Who may see the trigger may see them."""
    found = TriggerDecision.objects.filter(trigger_type=trigger_type, trigger_id=trigger_id)
    return cast(Rows, found.values(*_COLUMNS))


def waiting(trigger_type: str) -> QuerySet[TriggerDecision]:
    """What has to wait for a run to end, the oldest due time first."""
    return TriggerDecision.objects.filter(trigger_type=trigger_type, decision="deferred", run_id=None).order_by(
        "trigger_type", "trigger_id", "due_at"
    )


def show(row: Mapping[str, Any]) -> dict[str, Json]:
    """A decision as clients see it."""
    return {
        "id": str(row["id"]),
        "at": isoformat(row["created_at"]),
        "decision": row["decision"],
        "reason": row["reason"],
        "detail": row["detail"],
        "due_at": isoformat(row["due_at"]),
        "until_at": isoformat(row["until_at"]),
        "run_id": None if row["run_id"] is None else str(row["run_id"]),
    }
