"""The events of a run: their names, and the JSON Schema of each one's `data`. One place, for writers and readers.

`seq` is gapless within a run and starts at 1 with `run.created`. A schema names what is always there; more may come,
so that readers have to ignore what they don't know.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from flowforge.kernel.states import RUN_STATUSES

RUN_CREATED: Final = "run.created"
RUN_STARTED: Final = "run.started"
RUN_WAITING: Final = "run.waiting"
RUN_PAUSED: Final = "run.paused"
RUN_RESUMED: Final = "run.resumed"
RUN_RETRIED: Final = "run.retried"
RUN_COMPLETED: Final = "run.completed"
RUN_FAILED: Final = "run.failed"
RUN_CANCELLED: Final = "run.cancelled"

STEP_STARTED: Final = "step.started"
STEP_COMPLETED: Final = "step.completed"
STEP_FAILED: Final = "step.failed"
STEP_RETRYING: Final = "step.retrying"
STEP_WAITING: Final = "step.waiting"
STEP_SKIPPED: Final = "step.skipped"
STEP_CANCELLED: Final = "step.cancelled"
STEP_LOG: Final = "step.log"

LOG_LEVELS: Final = ("debug", "info", "warning", "error")

Schema = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class EventType:
    """One kind of event."""

    name: str
    summary: str  # for people
    schema: Schema  # JSON Schema 2020-12 of `data`
    of_step: bool  # whether `step_id` is set


_TEXT: Final[Schema] = {"type": "string"}
_TEXT_OR_NULL: Final[Schema] = {"type": ["string", "null"]}
_MOMENT: Final[Schema] = {"type": "string", "format": "date-time"}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_STATUS: Final[Schema] = {"enum": list(RUN_STATUSES)}


def _object(required: Mapping[str, Schema], optional: Mapping[str, Schema] = MappingProxyType({})) -> Schema:
    return {"type": "object", "required": list(required), "properties": {**required, **optional}}


_TRIGGER: Final = _object({"type": _TEXT, "id": _TEXT_OR_NULL})
_ERROR: Final = _object({"code": _TEXT, "message": _TEXT}, {"step": _TEXT_OR_NULL, "details": {"type": "object"}})
_LINE: Final = _object({"node_id": _TEXT, "level": {"enum": list(LOG_LEVELS)}, "message": _TEXT})


# of a step that someone outside has ended: a name for people, and `user:<id>`, `key:<id>`, `event:<id>`
_WHO: Final[Mapping[str, Schema]] = {"by": _TEXT, "actor": _TEXT}


def _run(name: str, summary: str, **required: Schema) -> EventType:
    """An event of the run itself: its new status, what `required` names, and where there is one the reason."""
    schema = _object({"status": _STATUS, **required}, {"reason": _TEXT})
    return EventType(name=name, summary=summary, schema=schema, of_step=False)


def _step(
    name: str, summary: str, optional: Mapping[str, Schema] = MappingProxyType({}), **required: Schema
) -> EventType:
    """An event of a step: which node, the attempt that it is in, and where there is one the reason."""
    schema = _object({"node_id": _TEXT, "attempt": _COUNT, **required}, {"reason": _TEXT, **_WHO, **optional})
    return EventType(name=name, summary=summary, schema=schema, of_step=True)


RUN_EVENTS: Final[Mapping[str, EventType]] = {
    kind.name: kind
    for kind in (
        _run(RUN_CREATED, "The run was accepted and is on disk.", trigger=_TRIGGER),
        _run(RUN_STARTED, "The engine has begun the run."),
        _run(RUN_WAITING, "All that is left of it waits for a person, an event or a time."),
        _run(RUN_PAUSED, "Someone paused it: no new step begins."),
        _run(RUN_RESUMED, "It goes on after a pause or a wait."),
        _run(RUN_RETRIED, "It goes on as its next attempt, from the steps that failed.", attempt=_COUNT),
        _run(RUN_COMPLETED, "It has ended, and what it was for is done."),
        _run(RUN_FAILED, "It has ended with an error.", error=_ERROR),
        _run(RUN_CANCELLED, "It has ended because someone asked for it."),
        _step(STEP_STARTED, "An attempt has begun."),
        _step(STEP_COMPLETED, "The step is done.", {"duration_ms": _COUNT, "branch": _TEXT}),
        _step(STEP_FAILED, "The step failed, and no attempt follows.", {"duration_ms": _COUNT}, error=_ERROR),
        _step(
            STEP_RETRYING,
            "An attempt failed or its worker was lost, and another one follows; or it goes on itself, later.",
            {"error": _ERROR, "retry_at": _MOMENT, "until": _MOMENT},
        ),
        _step(
            STEP_WAITING,
            "It waits for a person, an event or a time.",
            {"until": {"type": ["string", "null"]}},
            waits_for=_TEXT,
        ),
        _step(STEP_SKIPPED, "It is not wanted: its `when` said no, or no edge to it can fire."),
        _step(STEP_CANCELLED, "The run ended before the step did."),
        EventType(name=STEP_LOG, summary="One line of a step's log.", schema=_LINE, of_step=True),
    )
}
"""Every event that a run's history can hold, by name."""
