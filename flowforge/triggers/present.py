"""How an event trigger looks in an answer."""

from flowforge.api.http import tag_in_two
from flowforge.core.clock import isoformat
from flowforge.core.json import Json
from flowforge.triggers.models import EventTrigger


def trigger(row: EventTrigger) -> dict[str, Json]:
    return {
        "id": str(row.pk),
        "project_id": str(row.project_id),
        "workflow_id": str(row.workflow_id),
        "name": row.name,
        "event": row.event,
        "match": row.match,
        "input_mapping": row.input_mapping,
        "dedupe": row.dedupe,
        "enabled": row.enabled,
        "last_fired_at": isoformat(row.last_fired_at),
        "created_at": isoformat(row.created_at),
        "updated_at": isoformat(row.updated_at),
    }


def edited(row: EventTrigger) -> dict[str, Json]:
    """What people change of it: its firing makes no If-Match stale."""
    return {name: value for name, value in trigger(row).items() if name != "last_fired_at"}


def tag_of(row: EventTrigger) -> str:
    """A strong entity tag of what people edit and of when it fired."""
    return tag_in_two(edited(row), isoformat(row.last_fired_at))
