"""The statements of a commit: the run's fenced UPDATE, its steps, its events."""

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.backends.utils import CursorWrapper

from flowforge.core.prepared import Statement
from flowforge.engine.store.at_once import statement_of
from flowforge.engine.store.failures import count_failure
from flowforge.engine.store.holds import IS_FROZEN
from flowforge.engine.store.rows import Commit, EventRow, RunUpdate, StaleState, StepRow
from flowforge.engine.store.sql import ask_in_turn, insert_many, is_postgres, json_in, time_in, uuid_in
from flowforge.kernel.states import ENDED_RUN_STATUSES

_JSON_COLUMNS = frozenset({"outputs", "error"})
_TIME_COLUMNS = frozenset(
    {"started_at", "finished_at", "deadline_at", "wake_at", "key_held_since", "queued_at", "held_at"}
)
_STEP_COLUMNS = (
    "id", "run_id", "index", "node_id", "position", "max_attempts", "priority", "queue",
    "status", "attempt", "error", "branch", "waits_for", "then", "sanitized", "worker", "available_at", "started_at",
    "finished_at", "deadline_at", "lease_token", "lease_expires_at", "lost_count", "items", "inputs", "output",
)  # fmt: skip
_STATE = _STEP_COLUMNS[8:-3]
# a row that was read has left its items, inputs and output in the database: they are written when there are new ones
_UPDATE_STEP = (
    "UPDATE runs_steprun SET "
    + ", ".join(f'"{column}" = %s' for column in _STATE)
    + ", items = COALESCE(%s, items), inputs = COALESCE(%s, inputs){output}"
    + " WHERE id = %s AND status = %s AND lease_token = %s"
)
_UPDATE_STATE = _UPDATE_STEP.format(output="")
_UPDATE_RESULT = _UPDATE_STEP.format(output=", output = %s")
_RETURNED = "event_seq, pokes, cancel_requested_at, pause_requested_at, lease_expires_at"
_EVENT_COLUMNS = ("run_id", "seq", "at", "event", "step_id", "data")


def commit_in_turn(cursor: CursorWrapper, asked: Sequence[Commit]) -> list[tuple[Any, ...] | None]:
    """Rounds of different runs, statement by statement: within one process they cost little more than their work.

    What each run's row says now; None, and nothing is written, where it is not ours. All steps, and all events, are
    one statement each. Raises StaleState.
    """
    rows: list[tuple[Any, ...] | None] = []
    steps: list[tuple[uuid.UUID, StepRow]] = []
    events: list[tuple[Any, ...]] = []
    for each in asked:
        cursor.execute(*_run_update(each))
        row = cursor.fetchone()
        rows.append(row)
        if row is not None:
            steps.extend((each.run.id, step) for step in each.steps)
            events.extend(_event_values(each.run.id, row[0] - len(each.events), each.events))
    _write_steps(cursor, steps)
    _insert_events(cursor, events)
    for each, row in zip(asked, rows, strict=True):
        if row is not None and each.update.failure is not None:
            count_failure(cursor, each.run, each.update.failure)
    return rows


def at_once(asked: Commit) -> Statement:
    """The same as one statement."""
    update, values = _run_update(asked)
    rows = [(_step_values(asked.run.id, step), step) for step in asked.steps]
    return statement_of(
        update + ", id",
        values,
        made=[row for row, step in rows if step.stored is None],
        changed=[(row, step.has_output, step.stored) for row, step in rows if step.stored is not None],
        events=asked.events,
    )


def _run_update(asked: Commit) -> tuple[str, list[Any]]:
    """The fenced UPDATE of the run's own row, and its values."""
    run, update = asked.run, asked.update
    sets, values = _run_sets(update)
    lease, wake = time_in(asked.lease_until), time_in(asked.wake_at)
    lease_values: list[Any]
    if update.columns.get("status") in ENDED_RUN_STATUSES:
        kept, lease_values = ", lease_expires_at = NULL, wake_at = NULL, held_at = NULL", []
    elif asked.release:  # only if nobody has poked since we looked
        kept = (
            ", lease_expires_at = CASE WHEN pokes = %s THEN NULL ELSE %s END, "
            "wake_at = CASE WHEN pokes = %s THEN %s ELSE %s END"
        )
        lease_values = [run.pokes, lease, run.pokes, wake, lease]
    elif _lease_is_fresh(asked):  # no index of the run's row has to be written
        kept, lease_values = "", []
    else:
        kept, lease_values = ", lease_expires_at = %s, wake_at = %s", [lease, lease]
    if is_postgres():  # an untyped NULL branch makes the CASE text there
        kept = kept.replace("ELSE %s", "ELSE %s::timestamptz").replace("THEN %s", "THEN %s::timestamptz")
    condition, condition_values = (" AND pokes = %s", [run.pokes]) if asked.unless_poked else ("", [])
    if asked.unless_frozen:
        condition += f" AND NOT {IS_FROZEN}"
    if asked.unless_cancelled:
        condition += " AND cancel_requested_at IS NULL"
    statement = (
        f"UPDATE runs_run SET event_seq = event_seq + %s{kept}{sets} "
        f"WHERE id = %s AND lease_token = %s AND lease_expires_at IS NOT NULL{condition} "
        f"RETURNING {_RETURNED}"
    )
    return statement, [len(asked.events), *lease_values, *values, uuid_in(run.id), run.lease_token, *condition_values]


def append_events(cursor: CursorWrapper, run_id: uuid.UUID, events: Sequence[EventRow], extra: RunUpdate) -> None:
    """Append events (and count) inside a transaction that has locked the run's row already."""
    sets, extra_values = _run_sets(extra)
    update = f"UPDATE runs_run SET event_seq = event_seq + %s{sets} WHERE id = %s RETURNING {_RETURNED}"
    values = [len(events), *extra_values, uuid_in(run_id)]
    if is_postgres():
        ask_in_turn([statement_of(update + ", id", values, made=(), changed=(), events=events)])
        return
    cursor.execute(update, values)
    seq = cursor.fetchone()[0]
    _insert_events(cursor, _event_values(run_id, seq - len(events), events))


def _lease_is_fresh(asked: Commit) -> bool:
    """A lease is extended once a quarter of it has passed, as the keeper does it."""
    until = asked.run.leased_until
    return until is not None and asked.lease_until - until < timedelta(seconds=settings.LEASE_SECONDS / 4)


def _run_sets(update: RunUpdate) -> tuple[str, list[Any]]:
    sets: list[str] = []
    values: list[Any] = []
    for column, value in update.columns.items():
        sets.append(f"{column} = %s")
        values.append(
            json_in(value) if column in _JSON_COLUMNS else time_in(value) if column in _TIME_COLUMNS else value
        )
    for column, count in (
        ("steps_completed", update.completed),
        ("steps_failed", update.failed),
        ("steps_skipped", update.skipped),
        ("retries", update.retries),
        ("llm_cost", update.cost),
    ):
        if count:
            sets.append(f"{column} = {column} + %s")
            values.append(count)
    if update.failure is not None:
        sets.append("failure_id = %s")
        values.append(uuid_in(update.failure.fingerprint.id))
    return "".join(f", {each}" for each in sets), values


def _write_steps(cursor: CursorWrapper, steps: Sequence[tuple[uuid.UUID, StepRow]]) -> None:
    new, states, results = [], [], []
    for run_id, step in steps:
        values = _step_values(run_id, step)
        if step.stored is None:
            new.append(values)
        elif step.has_output:
            results.append((*values[8:], values[0], *step.stored))
        else:
            states.append((*values[8:-1], values[0], *step.stored))
    if new:
        insert_many(cursor, "runs_steprun", _STEP_COLUMNS, new)
    _update_steps(cursor, _UPDATE_STATE, states)
    _update_steps(cursor, _UPDATE_RESULT, results)


def _update_steps(cursor: CursorWrapper, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if not rows:
        return
    cursor.executemany(statement, rows)
    if cursor.rowcount != len(rows):
        raise StaleState


def _step_values(run_id: uuid.UUID, step: StepRow) -> tuple[Any, ...]:
    return (
        uuid_in(step.id), uuid_in(run_id), step.index, step.node_id, step.position, step.max_attempts, step.priority,
        step.queue, step.status, step.attempt, json_in(step.error), step.branch, step.waits_for, json_in(step.then),
        step.sanitized, step.worker, time_in(step.available_at), time_in(step.started_at), time_in(step.finished_at),
        time_in(step.deadline_at), step.lease_token, time_in(step.lease_expires_at), step.lost_count,
        json_in(step.items), json_in(step.inputs), json_in(step.output),
    )  # fmt: skip


def _event_values(run_id: uuid.UUID, last_seq: int, events: Sequence[EventRow]) -> list[tuple[Any, ...]]:
    run = uuid_in(run_id)
    return [
        (run, seq, time_in(event.at), event.event, uuid_in(event.step_id), json_in(event.data))
        for seq, event in enumerate(events, last_seq + 1)
    ]


def _insert_events(cursor: CursorWrapper, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        insert_many(cursor, "runs_runevent", _EVENT_COLUMNS, rows)
