"""Schedules, backfills and simulated ticks as clients see them (docs/schedules.md), and the tags of their states."""

from collections.abc import Mapping
from typing import Final
from zoneinfo import ZoneInfo

from flowforge.api.http import names_edited, tag_in_two
from flowforge.core.clock import isoformat
from flowforge.core.json import Json
from flowforge.kernel.schedules import Due
from flowforge.kernel.schedules.simulation import Step
from flowforge.schedules.models import Backfill, Schedule

# what ticks change
_OF_TICKS: Final = ("next_run_at", "last_run_at", "last_due_at", "status", "error", "quarantined_at")


def schedule(row: Schedule) -> dict[str, Json]:
    return {
        "id": str(row.pk),
        "project_id": str(row.project_id),
        "workflow_id": str(row.workflow_id),
        "name": row.name,
        "kind": row.kind,
        "cron": row.cron,
        "every": row.every,
        "at": isoformat(row.at),
        "timezone": row.timezone,
        "inputs": row.inputs,
        "overlap": row.overlap,
        "catch_up": row.catch_up,
        "catch_up_window": row.catch_up_window,
        "jitter": row.jitter,
        "starts_at": isoformat(row.starts_at),
        "ends_at": isoformat(row.ends_at),
        "enabled": row.enabled,
        "status": row.status,
        "next_run_at": isoformat(row.next_run_at),
        "last_run_at": isoformat(row.last_run_at),
        "last_due_at": isoformat(row.last_due_at),
        "error": row.error,
        "quarantined_at": isoformat(row.quarantined_at),
        "created_at": isoformat(row.created_at),
        "updated_at": isoformat(row.updated_at),
    }


def tag_of(shown: Mapping[str, Json]) -> str:
    """A strong entity tag of what people edit and what ticks change."""
    return tag_in_two(_edited(shown), [shown[name] for name in _OF_TICKS])


def names_state(if_match: str, shown: Mapping[str, Json]) -> bool:
    """If-Match: does it name the state that an edit would change? A tick that came in between doesn't count."""
    return names_edited(if_match, _edited(shown))


def _edited(shown: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in shown.items() if name not in _OF_TICKS}


def backfill(row: Backfill) -> dict[str, Json]:
    return {
        "id": str(row.pk),
        "schedule_id": str(row.schedule_id),
        "status": row.status,
        "from": isoformat(row.from_at),
        "to": isoformat(row.to_at),
        "total": row.total,
        "started": row.started,
        "skipped": row.skipped,
        "rejected": row.rejected,
        "created_at": isoformat(row.created_at),
        "finished_at": isoformat(row.finished_at),
    }


def due(found: Due, zone: ZoneInfo) -> dict[str, Json]:
    """A due time, with the local time that clocks show then."""
    return {"due_at": isoformat(found.at), "local": found.at.astimezone(zone).isoformat(), "dst": found.mark or None}


def step(found: Step, zone: ZoneInfo) -> dict[str, Json]:
    """What would become of a due time."""
    return {
        **due(found.due, zone),
        "decision": found.decision,
        "reason": found.reason,
        "run_at": isoformat(found.run_at),
        "until_at": isoformat(found.until),
    }
