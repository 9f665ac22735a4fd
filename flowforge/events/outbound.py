"""What the project's systems may be told of: the names of events, and the JSON Schema of each one's `data`.

A transition of a run is known by two names: that of the run's history (`run.completed`, `step.failed`) and that of the
contract (`workflow.completed`, `task.failed`), which says the same. Whoever asks for both hears the contract's.
What systems and steps publish (`POST /v1/events`, `emit`) keeps its own name, which no reserved namespace holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from flowforge.events import schemas
from flowforge.events.schemas import RUN_EVENTS, Schema
from flowforge.steps.values import is_reserved_event

APPROVAL_REQUESTED: Final = "approval.requested"
CREDENTIAL_EXPIRED: Final = "credential.expired"
ALERT_TRIGGERED: Final = "alert.triggered"
SCHEDULE_MISSED: Final = "schedule.missed"
SCHEDULE_QUARANTINED: Final = "schedule.quarantined"
SUBSCRIPTION_DISABLED: Final = "subscription.disabled"
SUBSCRIPTION_TEST: Final = "subscription.test"

APPROVAL: Final = "approval"  # what a step that asks for one waits for

_BY_CONTRACT: Final[Mapping[str, str]] = {
    schemas.RUN_CREATED: "workflow.created",
    schemas.RUN_STARTED: "workflow.started",
    schemas.RUN_COMPLETED: "workflow.completed",
    schemas.RUN_FAILED: "workflow.failed",
    schemas.RUN_CANCELLED: "workflow.cancelled",
    schemas.STEP_STARTED: "task.started",
    schemas.STEP_COMPLETED: "task.completed",
    schemas.STEP_FAILED: "task.failed",
    schemas.STEP_RETRYING: "task.retrying",
}

_ID: Final[Schema] = {"type": "string", "format": "uuid"}
_TEXT: Final[Schema] = {"type": "string"}
_MOMENT: Final[Schema] = {"type": "string", "format": "date-time"}
_SCHEDULE: Final[Mapping[str, Schema]] = {"schedule_id": _ID, "project_id": _ID, "workflow_id": _ID, "name": _TEXT}


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """One kind of event that can be subscribed to."""

    name: str
    summary: str
    schema: Schema  # JSON Schema 2020-12 of `data`; more members may come


def names_of(event: str, data: Mapping[str, Any]) -> Sequence[str]:
    """The names of a transition, the contract's first; none for a line of a log."""
    if event == schemas.STEP_LOG:
        return ()
    if event == schemas.STEP_WAITING and data.get("waits_for") == APPROVAL:
        return (APPROVAL_REQUESTED, event)
    name = _BY_CONTRACT.get(event)
    return (event,) if name is None else (name, event)


@lru_cache(maxsize=1_000)
def possible_names(event: str) -> Sequence[str]:
    """All that `names_of` may give for a transition, whatever its data."""
    return names_of(event, {"waits_for": APPROVAL})


@lru_cache(maxsize=10_000)
def matches(pattern: str, name: str) -> bool:
    """`run.completed`, `run.*` (all that begins so) or `*` (all)."""
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def is_published_pattern(pattern: str) -> bool:
    """Can an event that is published in a project ever match it? Transitions of runs are told, not published."""
    if not is_reserved_event(pattern):
        return True
    return any(matches(pattern, name) for name in PUBLISHED)


def is_known_pattern(pattern: str) -> bool:
    """Can anything ever match it? A name in a reserved namespace has to be one of ours."""
    if not pattern.endswith("*") and not is_reserved_event(pattern):
        return True
    stem = pattern.rstrip("*")
    return not is_reserved_event(stem) or any(matches(pattern, name) for name in TOLD)


def _of_run(schema: Schema) -> Schema:
    """The data of a run's transition, and which run it is."""
    required = {"workflow_id": _ID, "workflow_name": _TEXT, "run_id": _ID, "project_id": _ID}
    return _joined(required, schema)


def _of_step(schema: Schema) -> Schema:
    required = {
        "workflow_id": _ID,
        "workflow_name": _TEXT,
        "run_id": _ID,
        "project_id": _ID,
        "task_id": _ID,
        "task_name": _TEXT,
        "type": _TEXT,
        "status": _TEXT,
    }
    return _joined(required, schema)


def _joined(required: Mapping[str, Schema], schema: Schema) -> Schema:
    return {
        "type": "object",
        "required": [*required, *schema["required"]],
        "properties": {**required, **schema["properties"]},
    }


def _of_project(name: str, summary: str, /, **required: Schema) -> Told:
    schema = {"type": "object", "required": list(required), "properties": dict(required)}
    return Told(name=name, summary=summary, schema=schema)


def _of_history() -> Mapping[str, Told]:
    found = {}
    for kind in RUN_EVENTS.values():
        for name in possible_names(kind.name):
            schema = _of_step(kind.schema) if kind.of_step else _of_run(kind.schema)
            found[name] = Told(name=name, summary=kind.summary, schema=schema)
    return found


TOLD: Final[Mapping[str, Told]] = {
    **_of_history(),
    **{
        kind.name: kind
        for kind in (
            _of_project(
                CREDENTIAL_EXPIRED,
                "A credential has passed its `expires_at`.",
                credential_id=_ID,
                project_id=_ID,
                name=_TEXT,
                type=_TEXT,
                expires_at=_TEXT,
            ),
            _of_project(
                ALERT_TRIGGERED,
                "An alert has begun to fire, or does no longer: `state` says which.",
                alert_id=_ID,
                project_id=_ID,
                workflow_id={"type": ["string", "null"], "format": "uuid"},
                name=_TEXT,
                metric=_TEXT,
                operator=_TEXT,
                threshold={"type": "number"},
                window=_TEXT,
                severity=_TEXT,
                state={"enum": ["ok", "firing"]},
                value={"type": ["number", "null"]},
            ),
            _of_project(
                SCHEDULE_MISSED,
                "A schedule was due and nobody was there to fire it, from `due_at` on: once for each outage.",
                **_SCHEDULE,
                due_at=_MOMENT,
                catch_up={"enum": ["none", "last", "all"]},
            ),
            _of_project(
                SCHEDULE_QUARANTINED,
                "A schedule was put aside after three errors in a row.",
                **_SCHEDULE,
                code=_TEXT,
                message=_TEXT,
            ),
            _of_project(
                SUBSCRIPTION_DISABLED,
                "Nothing is sent to an address any more: it is gone, or has failed for days.",
                subscription_id=_ID,
                url=_TEXT,
                reason=_TEXT,
            ),
            _of_project(SUBSCRIPTION_TEST, "Somebody tries whether deliveries arrive.", subscription_id=_ID),
        )
    },
}
"""Every event of ours that can be subscribed to, by name. Those that projects publish are beside it."""

PUBLISHED: Final = (
    *(ALERT_TRIGGERED, CREDENTIAL_EXPIRED, SCHEDULE_MISSED, SCHEDULE_QUARANTINED),
    SUBSCRIPTION_DISABLED,
)
"""Those of ours that are published in their project as its own events are: `wait_event` and triggers hear them."""
