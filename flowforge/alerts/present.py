"""How an alert looks in an answer, and in the event that tells of it."""

from flowforge.alerts.models import Alert
from flowforge.api.http import tag_in_two
from flowforge.core.clock import isoformat
from flowforge.core.json import Json

_OF_CHECKS = frozenset({"state", "value", "last_triggered_at", "error"})  # what looking at it changes


def alert(row: Alert) -> dict[str, Json]:
    return {
        "id": str(row.pk),
        "project_id": str(row.project_id),
        "workflow_id": None if row.workflow_id is None else str(row.workflow_id),
        "name": row.name,
        "metric": row.metric,
        "operator": row.operator,
        "threshold": row.threshold,
        "window": row.window,
        "severity": row.severity,
        "enabled": row.enabled,
        "state": row.state,
        "value": row.value,
        "last_triggered_at": isoformat(row.last_triggered_at),
        "error": row.error or None,
        "created_at": isoformat(row.created_at),
        "updated_at": isoformat(row.updated_at),
    }


def edited(row: Alert) -> dict[str, Json]:
    """What people change of it: a look at it makes no If-Match stale."""
    return {name: value for name, value in alert(row).items() if name not in _OF_CHECKS}


def tag_of(row: Alert) -> str:
    """A strong entity tag of what people edit and what looks at it change."""
    shown = alert(row)
    return tag_in_two(edited(row), [shown[name] for name in sorted(_OF_CHECKS)])


def told(row: Alert, *, state: str, value: float | None) -> dict[str, Json]:
    """The payload of `alert.triggered`."""
    known = alert(row)
    names = ("project_id", "workflow_id", "name", "metric", "operator", "threshold", "window", "severity")
    return {"alert_id": known["id"], **{name: known[name] for name in names}, "state": state, "value": value}
