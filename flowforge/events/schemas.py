"""The events of a run: their names, and the JSON Schema of each one's `data`. One place, for writers and readers.

`seq` is gapless within a run and starts at 1 with `run.created`. A schema names what is always there; more may come,
so that readers have to ignore what they don't know.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flowforge.kernel.states import RUN_STATUSES, STEP_STATUSES

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


ERROR_SCHEMA: Final[Schema] = {
    "type": "object",
    "required": ["code", "message"],
    "properties": {
        "code": {"type": "string"},
        "message": {"type": "string"},
        "step": {"type": ["string", "null"]},
        "details": {"type": "object"},
    },
}
TRIGGER_SCHEMA: Final[Schema] = {
    "type": "object",
    "required": ["type", "id"],
    "properties": {"type": {"type": "string"}, "id": {"type": ["string", "null"]}},
}
LOG_SCHEMA: Final[Schema] = {
    "type": "object",
    "required": ["level", "message"],
    "properties": {"level": {"enum": list(LOG_LEVELS)}, "message": {"type": "string"}},
}


def _run(name: str, summary: str, **properties: Schema) -> EventType:
    """An event of the run itself: its new status, why, and what else `properties` always holds."""
    return EventType(
        name=name,
        summary=summary,
        of_step=False,
        schema={
            "type": "object",
            "required": ["status", *properties],
            "properties": {
                "status": {"enum": list(RUN_STATUSES)},
                "reason": {"type": ["string", "null"]},
                **properties,
            },
        },
    )


def _step(name: str, summary: str, **properties: Schema) -> EventType:
    """An event of a step: which node, its new status, the attempt it is in, and what `properties` always holds."""
    return EventType(
        name=name,
        summary=summary,
        of_step=True,
        schema={
            "type": "object",
            "required": ["node_id", "status", *properties],
            "properties": {
                "node_id": {"type": "string"},
                "status": {"enum": list(STEP_STATUSES)},
                "attempt": {"type": "integer", "minimum": 0},
                "reason": {"type": ["string", "null"]},
                **properties,
            },
        },
    )


RUN_EVENTS: Final[Mapping[str, EventType]] = {
    kind.name: kind
    for kind in (
        _run(RUN_CREATED, "The run was accepted and is on disk.", trigger=TRIGGER_SCHEMA),
        _run(RUN_STARTED, "The engine has begun the run."),
        _run(RUN_WAITING, "All that is left of it waits for a person, an event or a time."),
        _run(RUN_PAUSED, "Someone paused it: no new step begins."),
        _run(RUN_RESUMED, "It goes on after a pause or a wait."),
        _run(RUN_RETRIED, "It goes on as its next attempt, from the steps that failed."),
        _run(RUN_COMPLETED, "It has ended, and what it was for is done."),
        _run(RUN_FAILED, "It has ended with an error.", error=ERROR_SCHEMA),
        _run(RUN_CANCELLED, "It has ended because someone asked for it."),
        _step(STEP_STARTED, "An attempt has begun."),
        _step(STEP_COMPLETED, "The step is done."),
        _step(STEP_FAILED, "The step failed, and no attempt follows.", error=ERROR_SCHEMA),
        _step(STEP_RETRYING, "An attempt failed or its worker was lost; another one follows."),
        _step(STEP_WAITING, "The step waits for a person, an event or a time."),
        _step(STEP_SKIPPED, "The step is not wanted: its `when` said no, or no edge to it can fire."),
        _step(STEP_CANCELLED, "The run ended before the step did."),
        EventType(name=STEP_LOG, summary="One line of a step's log.", schema=LOG_SCHEMA, of_step=True),
    )
}
"""Every event that a run's history can hold, by name."""
