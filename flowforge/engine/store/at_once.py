"""A commit of the driver as one statement: on PostgreSQL what a commit costs is its round trips.

The statements of `runs.commit` become the parts of one: what the run's own UPDATE returns is what the others join, so
that a lost lease writes nothing, and it locks the run's row first. Rows travel as one JSON document each.
"""

import uuid
from collections.abc import Sequence
from typing import Any

import orjson
import psycopg
from django.db import DataError, connection, transaction

from flowforge.core import json
from flowforge.core.prepared import Statement, execute_prepared
from flowforge.engine.store.rows import EventRow, StaleState, StepRow
from flowforge.engine.store.sql import LIVE_RUNS

_TYPES = {
    "id": "uuid", "run_id": "uuid", "index": "int", "node_id": "text", "position": "int", "max_attempts": "int",
    "priority": "int", "queue": "text", "status": "text", "attempt": "int", "error": "jsonb", "branch": "text",
    "waits_for": "text", "then": "jsonb", "sanitized": "bool", "worker": "text", "available_at": "timestamptz",
    "started_at": "timestamptz", "finished_at": "timestamptz", "deadline_at": "timestamptz", "lease_token": "bigint",
    "lease_expires_at": "timestamptz", "lost_count": "int", "items": "jsonb", "inputs": "jsonb",
    "output": "jsonb",
}  # fmt: skip
_SETTLED = (
    "id", "run_id", "lease_token", "status", "attempt", "lost_count", "inputs", "output", "error", "branch",
    "sanitized", "waits_for", "then", "available_at", "finished_at",
)  # fmt: skip
_OF_STEP = [column for column in _SETTLED if column != "run_id"]
_JSON = frozenset(column for column, kind in _TYPES.items() if kind == "jsonb")
_STATE = tuple(_TYPES)[8:-3]


def _recordset(types: dict[str, str]) -> str:
    return "jsonb_to_recordset(%s::jsonb) AS v(" + ", ".join(f'"{name}" {kind}' for name, kind in types.items()) + ")"


_NAMES = ", ".join(f'"{column}"' for column in _TYPES)
_MADE = (
    f"made AS (INSERT INTO runs_steprun ({_NAMES}) "
    f"SELECT {', '.join(f'v.{name}' for name in _NAMES.split(', '))} FROM run, {_recordset(_TYPES)})"
)
_CHANGED = (
    "changed AS (UPDATE runs_steprun s SET "
    + ", ".join(f'"{column}" = v."{column}"' for column in _STATE)
    + ", items = COALESCE(v.items, s.items), inputs = COALESCE(v.inputs, s.inputs)"
    + ", output = CASE WHEN v.has_output THEN v.output ELSE s.output END "
    + "FROM run, "
    + _recordset(_TYPES | {"has_output": "bool", "stored_status": "text", "stored_token": "bigint"})
    # the run's id makes the planner expect one row of them, and look it up: else it may join by reading the whole table
    + " WHERE v.run_id = run.id AND s.id = v.id AND s.status = v.stored_status AND s.lease_token = v.stored_token"
    + " RETURNING 1)"
)
_TOLD = (
    "told AS (INSERT INTO runs_runevent (run_id, seq, at, event, step_id, data) "
    "SELECT run.id, run.event_seq - %s + v.place, v.at, v.event, v.step_id, v.data FROM run, "
    + _recordset({"place": "int", "at": "timestamptz", "event": "text", "step_id": "uuid", "data": "jsonb"})
    + ")"
)
_SETTLE = (
    f"WITH run AS (SELECT id FROM runs_run WHERE id = %s AND status IN {LIVE_RUNS}) "
    "UPDATE runs_steprun s SET lease_expires_at = NULL, "
    + ", ".join(f'"{column}" = v."{column}"' for column in _SETTLED[3:])
    + " FROM run, "
    + _recordset({column: _TYPES[column] for column in _SETTLED})
    + " WHERE v.run_id = run.id AND s.id = v.id AND s.lease_token = v.lease_token AND s.status = 'running' "
    + "RETURNING s.id"
)
# a step that has moved on fails the statement, and with it all of its parts
_GUARD = "1 / (CASE WHEN (SELECT count(*) FROM changed) = %s THEN 1 ELSE 0 END)"
_RETURNED = "run.event_seq, run.pokes, run.cancel_requested_at, run.pause_requested_at, run.lease_expires_at"


def statement_of(
    update: str,
    values: Sequence[Any],
    *,
    made: Sequence[tuple[Any, ...]],
    changed: Sequence[tuple[tuple[Any, ...], bool, tuple[str, int]]],
    events: Sequence[EventRow],
) -> Statement:
    """A decision round as one statement.

    `update`: the run's UPDATE, which returns the five values of its row and the id. `made` and `changed`: values of
    steps in the order of the table's columns; of changed ones whether there is an output to write, and (status, lease
    token) as they were read.
    """
    parts, parameters = [f"run AS ({update})"], list(values)
    if made:
        parts.append(_MADE)
        parameters.append(_document([_record(row) for row in made]))
    if changed:
        parts.append(_CHANGED)
        parameters.append(_document([_changed_record(*each) for each in changed]))
    if events:
        parts.append(_TOLD)
        parameters += [len(events), _document([_event_record(place, each) for place, each in enumerate(events, 1)])]
    guard = ""
    if changed:
        guard = f", {_GUARD}"
        parameters.append(len(changed))
    return f"WITH {', '.join(parts)} SELECT {_RETURNED}{guard} FROM run", parameters


def settling(run_id: uuid.UUID, steps: Sequence[StepRow]) -> Statement:
    """What records the ends of attempts that are still ours, as long as the run goes on; gives the ids of those."""
    records = [{"run_id": run_id} | {column: getattr(step, column) for column in _OF_STEP} for step in steps]
    return _SETTLE, [run_id, _document(records)]


def commit_at_once(asked: Statement) -> tuple[Any, ...] | None:
    """Write a round; the five values of the run's row, or None if its UPDATE hit none. Raises StaleState."""
    if connection.in_atomic_block:  # a failed statement must not end somebody's transaction
        with transaction.atomic():
            return _execute_all([asked])[0]
    connection.ensure_connection()
    return _execute_all([asked])[0]


def commits_at_once(asked: Sequence[Statement]) -> list[tuple[Any, ...] | None]:
    """Write several rounds in one transaction, sent without waiting for any answer but the last.

    Raises StaleState, or what else went wrong with one of them: then none is written.
    """
    with transaction.atomic(), connection.wrap_database_errors, connection.connection.pipeline():
        return _execute_all(asked)


def _execute_all(asked: Sequence[Statement]) -> list[tuple[Any, ...] | None]:
    """To plan one anew costs as much as to execute it: they are prepared."""
    try:
        return [rows[0] if rows else None for rows in execute_prepared(asked)]
    except DataError as error:
        if isinstance(error.__cause__, psycopg.errors.DivisionByZero):
            raise StaleState from None
        raise


def _record(row: tuple[Any, ...]) -> dict[str, Any]:
    return {
        name: orjson.Fragment(value) if name in _JSON and value is not None else value
        for name, value in zip(_TYPES, row, strict=True)
    }


def _changed_record(row: tuple[Any, ...], has_output: bool, stored: tuple[str, int]) -> dict[str, Any]:
    return _record(row) | {"has_output": has_output, "stored_status": stored[0], "stored_token": stored[1]}


def _event_record(place: int, event: EventRow) -> dict[str, Any]:
    return {"place": place, "at": event.at, "event": event.event, "step_id": event.step_id, "data": event.data}


def _document(rows: list[dict[str, Any]]) -> str:
    return json.text(rows)
