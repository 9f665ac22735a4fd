"""Runs as clients see them, straight from database rows: the hot path of reading.

The columns come as the driver gives them (no model instances, no serializers): a key is a UUID on PostgreSQL and 32
hex digits on SQLite, a moment is UTC with or without saying so, a JSON document is its text and goes into the answer
as it is. Each row type names its columns once; `runs.selectors` reads exactly these.
"""

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple

import orjson

from flowforge.core import json
from flowforge.core.ids import step_id
from flowforge.core.json import Json
from flowforge.kernel.definition import Node
from flowforge.kernel.states import ENDED_RUN_STATUSES
from runs.constants import NO_ITEM
from runs.models import Run

Key = uuid.UUID | str
JsonText = str | None
Shown = dict[str, Json]
Place = tuple[Node, int]  # what a step does, and of which item of a `map`: NO_ITEM of a node of the graph


class RunRow(NamedTuple):
    """A run, of `runs.selectors.named_runs`."""

    id: Key
    workflow_id: Key
    workflow_name: str
    version_id: Key
    workflow_version: int
    project_id: Key
    status: str
    status_reason: str | None
    attempt: int
    priority: int
    trigger_type: str
    trigger_id: str | None
    inputs: JsonText
    outputs: JsonText
    metadata: JsonText
    error: JsonText
    steps_total: int
    steps_completed: int
    steps_failed: int
    steps_skipped: int
    retries: int
    llm_cost: float
    parent_run_id: Key | None
    replay_of_id: Key | None
    trace_id: str
    run_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class StepRow(NamedTuple):
    """A step that has a row."""

    id: Key
    node_id: str
    index: int  # type: ignore[assignment]  # a row's own: nobody asks it for tuple.index
    status: str
    attempt: int
    max_attempts: int
    inputs: JsonText
    output: JsonText
    error: JsonText
    branch: str | None
    worker: str
    started_at: datetime | None
    finished_at: datetime | None


class LogRow(NamedTuple):
    """A line of a step's log."""

    step_id: Key
    seq: int
    at: datetime
    data: str


class EventRow(NamedTuple):
    """A row of a run's history."""

    run_id: Key
    seq: int
    at: datetime
    event: str
    step_id: Key | None
    data: str


def run(row: RunRow) -> Shown:
    """A run as lists show it: everything but its steps."""
    return {
        "id": key(row.id),
        "workflow_id": key(row.workflow_id),
        "workflow_name": row.workflow_name,
        "workflow_version": row.workflow_version,
        "project_id": key(row.project_id),
        "status": row.status,
        "status_reason": row.status_reason,
        "attempt": row.attempt,
        "priority": row.priority,
        "trigger": {"type": row.trigger_type, "id": row.trigger_id},
        "inputs": document(row.inputs),
        "outputs": document(row.outputs),
        "metadata": document(row.metadata),
        "error": error(row.error),
        "metrics": {
            "queue_ms": milliseconds(max(row.created_at, row.run_at or row.created_at), row.started_at),
            "duration_ms": milliseconds(row.started_at, row.finished_at),
            "steps_total": row.steps_total,
            "steps_completed": row.steps_completed,
            "steps_failed": row.steps_failed,
            "steps_skipped": row.steps_skipped,
            "retries": row.retries,
            "llm_cost": row.llm_cost,
        },
        "parent_run_id": key(row.parent_run_id),
        "replay_of": key(row.replay_of_id),
        "trace_id": row.trace_id,
        "created_at": moment(row.created_at),
        "started_at": moment(row.started_at),
        "finished_at": moment(row.finished_at),
    }


def steps(run_row: RunRow, places: Iterable[Place], rows: Iterable[StepRow], logs: Iterable[LogRow]) -> list[Shown]:
    """Some steps of a run, in the order of `places`; `logs` oldest first."""
    by_place = {(row.node_id, row.index): row for row in rows}
    lines: dict[Key, list[Shown]] = {}
    for line in logs:
        lines.setdefault(line.step_id, []).append(log(line))
    return [
        _step(node, row, lines.get(row.id, [])) if (row := by_place.get((node.id, index))) else _unbegun(node, run_row)
        for node, index in places
    ]


def log(row: LogRow) -> Shown:
    """A line of a step's log."""
    line = json.loads_trusted(row.data)
    return {"at": moment(row.at), "level": line["level"], "message": line["message"]}


def event(row: EventRow) -> Shown:
    """A row of a run's history; `step_id` only where it is a step's."""
    shown = {"seq": row.seq, "at": moment(row.at), "event": row.event, "run_id": key(row.run_id)}
    if row.step_id is not None:
        shown["step_id"] = key(row.step_id)
    shown["data"] = document(row.data)
    return shown


def row_of(instance: Run) -> RunRow:
    """The row of a run that is at hand (with its workflow), as if it had been read."""
    values = dict(zip(RunRow._fields, _columns_of(instance), strict=True))
    for name in ("inputs", "outputs", "metadata", "error"):
        values[name] = None if values[name] is None else json.text(values[name])
    return RunRow(**values)


_columns_of = attrgetter(*("workflow.name" if name == "workflow_name" else name for name in RunRow._fields))


def _step(node: Node, row: StepRow, logs: Sequence[Shown]) -> Shown:
    item = {} if row.index == NO_ITEM else {"index": row.index}
    return {
        "id": key(row.id),
        "node_id": node.id,
        **item,
        "name": node.name or node.id,
        "type": node.type,
        "status": row.status,
        "attempt": row.attempt,
        "max_attempts": row.max_attempts,
        "inputs": document(row.inputs),
        "output": document(row.output),
        "error": error(row.error, step=node.id),
        "branch": row.branch,
        "worker": row.worker or None,
        "started_at": moment(row.started_at),
        "finished_at": moment(row.finished_at),
        "duration_ms": milliseconds(row.started_at, row.finished_at),
        "logs": logs,
    }


def _unbegun(node: Node, run_row: RunRow) -> Shown:
    """A step that has no row: it has not begun; in a run that has ended it never will."""
    row = StepRow(
        id=step_id(uuid_of(run_row.id), node.id),
        node_id=node.id,
        index=NO_ITEM,
        status="cancelled" if run_row.status in ENDED_RUN_STATUSES else "pending",
        attempt=0,
        max_attempts=node.retry.max_attempts,
        inputs=None,
        output=None,
        error=None,
        branch=None,
        worker="",
        started_at=None,
        finished_at=None,
    )
    return _step(node, row, [])


# --- values -------------------------------------------------------------------------------------------------------


def key(value: Key | None) -> str | None:
    """`018f…-….`: lower-case text with dashes."""
    if isinstance(value, str):
        return f"{value[:8]}-{value[8:12]}-{value[12:16]}-{value[16:20]}-{value[20:]}"
    return None if value is None else str(value)


def uuid_of(value: Key) -> uuid.UUID:
    return value if isinstance(value, uuid.UUID) else uuid.UUID(value)


def moment(value: datetime | None) -> str | None:
    """`2026-01-01T12:00:00.123456Z` of a moment that is UTC, whether it says so or not."""
    return None if value is None else value.isoformat(timespec="microseconds")[:26] + "Z"


def document(text: JsonText) -> Json:
    """Stored JSON, put into the answer unread."""
    return None if text is None else orjson.Fragment(text)


def error(text: JsonText, *, step: str | None = None) -> Json:
    """A stored error with all of its four members; `step` is the node to blame where it names none."""
    if text is None:
        return None
    stored: dict[str, Json] = json.loads_trusted(text)
    return {"code": None, "message": "", "step": step, "details": {}, **stored}


def milliseconds(begin: datetime | None, end: datetime | None) -> int | None:
    """From one moment to another, rounded; null as long as one of them is to come."""
    if begin is None or end is None:
        return None
    return max(0, round((end - begin).total_seconds() * 1000))
