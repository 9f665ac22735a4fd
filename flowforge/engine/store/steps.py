"""Reading steps, and the workers' side: claiming ready steps and settling them."""

import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.backends.utils import CursorWrapper

from flowforge.core.json import Json
from flowforge.core.prepared import Statement
from flowforge.engine.store.at_once import settling
from flowforge.engine.store.holds import HOLDING, Raw, is_held
from flowforge.engine.store.rows import EventRow, RunUpdate, StepRow
from flowforge.engine.store.sql import (
    LIVE,
    OPEN_ITEMS,
    ask_in_turn,
    chosen_by,
    in_list,
    is_postgres,
    json_in,
    json_out,
    lock_suffix,
    time_in,
    time_out,
    uuid_in,
    uuid_out,
    write,
)
from flowforge.engine.store.writing import append_events
from flowforge.kernel.runstate import MAX_LOST
from flowforge.kernel.states import LIVE_RUN_STATUSES

_STATE_COLUMNS = (
    "id, node_id, status, position, attempt, max_attempts, priority, queue, error, branch, worker, available_at, "
    'started_at, finished_at, lease_token, lease_expires_at, lost_count, waits_for, "then", resolution, "index"'
)
MANY_NODES = 50  # beyond, it is cheaper to ask who is live than whether these are
_LIVE = "(status IN ('running', 'retrying', 'waiting') OR (status = 'pending' AND available_at IS NOT NULL))"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What became of one attempt: the row to write and what to tell of it."""

    row: StepRow
    events: Sequence[EventRow]
    cost: float = 0.0


def load_steps(run_id: uuid.UUID) -> list[StepRow]:
    """The steps of a run without inputs and outputs: those are read when something names them. Without items."""
    return _rows('run_id = %s AND "index" = -1', [uuid_in(run_id)])


def load_live_items(run_id: uuid.UUID) -> list[StepRow]:
    """The items of a run's maps that have begun and not ended, likewise."""
    return _rows(f"run_id = %s AND {OPEN_ITEMS} AND status IN {LIVE}", [uuid_in(run_id)])


def load_these(step_ids: Sequence[uuid.UUID]) -> list[StepRow]:
    """Steps by their ids, items too, likewise."""
    return _rows(f"id IN {in_list(step_ids)}", [uuid_in(step_id) for step_id in step_ids])


def load_outputs(run_id: uuid.UUID, node_ids: Collection[str]) -> dict[str, tuple[str, Json, Json]]:
    """node -> (status, output, error) of those that have a row."""
    if not node_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT node_id, status, output, error FROM runs_steprun "
            f'WHERE run_id = %s AND node_id IN {in_list(list(node_ids))} AND "index" = -1',
            [uuid_in(run_id), *node_ids],
        )
        return {row[0]: (row[1], json_out(row[2]), json_out(row[3])) for row in cursor.fetchall()}


Tell = Callable[[Sequence[EventRow]], None]  # called in the transaction that appends these


def claim_steps(
    run_id: uuid.UUID,
    *,
    queue: str,
    limit: int,
    worker: str,
    max_concurrency: int,
    now: datetime,
    lease_seconds: float,
    tell: Tell | None = None,
    last_chance: bool = False,
) -> list[StepRow]:
    """Take up to `limit` ready steps of a run for this worker, first things first: of those that have their
    `last_chance`, or of all others.

    The run's row is locked first, by claim and settlement alike: so the count of running steps holds while we add to
    it, `seq` has no gaps, and nobody can deadlock. A paused, frozen, cancelled or ended run gives none.
    """
    until = now + timedelta(seconds=lease_seconds)
    with write() as cursor:
        runs, occupied = ask_in_turn([_locking(run_id), _occupancy(run_id)])
        if not runs or not _is_startable(*runs[0]):
            return []
        running, held = _occupied(*occupied[0])
        room = max_concurrency - running
        if held or room <= 0:
            return []
        ready = f"""SELECT id FROM runs_steprun WHERE run_id = %s AND queue = %s
                    AND status IN ('pending', 'retrying') AND available_at <= %s AND resolution IS NULL
                    AND lost_count {">=" if last_chance else "<"} {MAX_LOST - 1}
                    ORDER BY priority DESC, position, "index" LIMIT %s"""
        claim = f"""UPDATE runs_steprun SET status = 'running', attempt = attempt + 1, lease_token = lease_token + 1,
                    lease_expires_at = %s, worker = %s, started_at = %s, finished_at = NULL, error = NULL
                    WHERE {chosen_by(ready)} RETURNING {_STATE_COLUMNS}"""
        values = [time_in(until), worker, time_in(now), uuid_in(run_id), queue, time_in(now), min(limit, room)]
        [rows] = ask_in_turn([(claim, values)])
        steps = [_state_row(row) for row in rows]
        if steps:
            steps.sort(key=lambda step: (-step.priority, step.position, step.index))
            events = [started_event(step, now) for step in steps]
            append_events(cursor, run_id, events, RunUpdate())
            if tell is not None:
                tell(events)
    return steps


def settle_steps(
    run_id: uuid.UUID, settlements: Sequence[Settlement], now: datetime, *, tell: Tell | None = None
) -> list[Settlement]:
    """Record what became of claimed steps; returns those that took effect.

    Fenced by each step's lease token: the result of a worker that was taken to be lost, or of a step that was
    cancelled meanwhile, changes nothing.
    """
    with write() as cursor:
        settled = _settle(cursor, run_id, [each.row for each in settlements])
        taken = [each for each in settlements if each.row.id in settled]
        update = RunUpdate()
        events: list[EventRow] = []
        for each in taken:
            count(update, each.row)
            update.cost += each.cost
            events.extend(each.events)
        if events:
            update.columns["wake_at"] = now  # if the hint that follows is lost, the sweep looks at the run
            append_events(cursor, run_id, events, update)
            if tell is not None:
                tell(events)
    return taken


def flush_logs(run_id: uuid.UUID, step: StepRow, inputs: Json, events: Sequence[EventRow]) -> bool:
    """Store a running step's rendered inputs and newest log lines; False if the step is no longer ours."""
    with write() as cursor:
        if not _lock_run(cursor, run_id):
            return False
        cursor.execute(
            "UPDATE runs_steprun SET inputs = %s WHERE id = %s AND lease_token = %s AND status = 'running'",
            [json_in(inputs), uuid_in(step.id), step.lease_token],
        )
        if cursor.rowcount == 0:
            return False
        if events:
            append_events(cursor, run_id, events, RunUpdate())
    return True


def hand_back(run_id: uuid.UUID, steps: Sequence[StepRow], now: datetime) -> None:
    """Let others have steps that were claimed but not begun: as if they had never been claimed."""
    let_go = (
        "UPDATE runs_steprun SET status = 'retrying', attempt = attempt - 1, lease_expires_at = NULL, "
        "available_at = %s WHERE id = %s AND lease_token = %s AND status = 'running' RETURNING 1"
    )
    with write() as cursor:
        if not _lock_run(cursor, run_id):
            return
        asked = [(let_go, [time_in(now), uuid_in(step.id), step.lease_token]) for step in steps]
        back = [step for step, rows in zip(steps, ask_in_turn(asked), strict=True) if rows]
        if back:
            events = [_handed_back_event(step, now) for step in back]
            append_events(cursor, run_id, events, RunUpdate(columns={"wake_at": now}))


def any_live(run_id: uuid.UUID, node_ids: Collection[str] | None) -> bool:
    """Whether any of these nodes (None: any at all) has a step that has begun and not ended.

    Asked whenever results are recorded: of very many nodes, some are looked at first, by indexes without ended steps.
    Else a fan of ten thousand would be read whole again and again.
    """
    wanted = None if node_ids is None else set(node_ids)
    if (wanted is None or len(wanted) > MANY_NODES) and _some_live(run_id, wanted):
        return True
    query = f"SELECT 1 FROM runs_steprun WHERE run_id = %s AND {_LIVE}"
    if node_ids is not None:
        query += f" AND node_id IN {in_list(list(node_ids))}"
    with connection.cursor() as cursor:
        cursor.execute(query + " LIMIT 1", [uuid_in(run_id), *(node_ids or ())])
        return cursor.fetchone() is not None


def _some_live(run_id: uuid.UUID, node_ids: set[str] | None) -> bool:
    """Whether one of these is among the first that run, or that are ready to: indexes `step_running`, `step_claim`."""
    with connection.cursor() as cursor:
        for condition in (
            "\"index\" = -1 AND status = 'running'",
            "status IN ('pending', 'retrying') AND available_at IS NOT NULL",
        ):
            query = f"SELECT node_id FROM runs_steprun WHERE run_id = %s AND {condition} LIMIT %s"
            cursor.execute(query, [uuid_in(run_id), MANY_NODES])
            if any(node_ids is None or node_id in node_ids for (node_id,) in cursor.fetchall()):
                return True
    return False


def _handed_back_event(step: StepRow, now: datetime) -> EventRow:
    data = {**step.told, "attempt": step.attempt - 1, "reason": "handed_back"}
    return EventRow(at=now, event="step.retrying", step_id=step.id, data=data)


def started_event(step: StepRow, now: datetime) -> EventRow:
    data = {**step.told, "attempt": step.attempt, "worker": step.worker}
    return EventRow(at=now, event="step.started", step_id=step.id, data=data)


def count(update: RunUpdate, step: StepRow) -> None:
    """Add one step's new status to the run's counters; one that was handed back has not failed: no retry.

    Steps are counted by nodes: of an item, only its retries.
    """
    if step.index >= 0 and step.status != "retrying":
        return
    if step.status == "completed":
        update.completed += 1
    elif step.status == "failed":
        update.failed += 1
    elif step.status == "skipped":
        update.skipped += 1
    elif step.status == "retrying" and step.error is not None:
        update.retries += 1


def _rows(condition: str, parameters: Sequence[Any]) -> list[StepRow]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_STATE_COLUMNS} FROM runs_steprun WHERE {condition}", parameters)
        return [_state_row(row) for row in cursor.fetchall()]


def _lock_run(cursor: CursorWrapper, run_id: uuid.UUID) -> bool:
    """Lock the run's row; whether it is live."""
    cursor.execute(*_locking(run_id))
    row = cursor.fetchone()
    return row is not None and row[0] in LIVE_RUN_STATUSES


def _locking(run_id: uuid.UUID) -> Statement:
    """What locks the run's row and asks whether its steps may start: for `_is_startable`."""
    return (
        "SELECT status, pause_requested_at, cancel_requested_at, queued_in FROM runs_run WHERE id = %s" + lock_suffix(),
        [uuid_in(run_id)],
    )


def _is_startable(status: str, *obstacles: object) -> bool:
    """Whether steps may start: the run is neither paused, nor to be cancelled, nor without a place."""
    return status in ("running", "waiting") and all(obstacle is None for obstacle in obstacles)


def _occupancy(run_id: uuid.UUID) -> Statement:
    """How many steps run, by two indexes, neither of which grows with the items that have ended; and whether the run
    is held: for `_occupied`. A statement of its own: it sees a freeze that was committed while the run's row was
    waited for."""
    return (
        "SELECT (SELECT count(*) FROM runs_steprun WHERE run_id = %s AND \"index\" = -1 AND status = 'running') + "
        f"(SELECT count(*) FROM runs_steprun WHERE run_id = %s AND {OPEN_ITEMS} AND status = 'running'), "
        f"held_at, started_at, thawed_at, {HOLDING} FROM runs_run WHERE id = %s",
        [uuid_in(run_id)] * 3,
    )


def _occupied(count: int, held_at: Raw, started_at: Raw, thawed_at: Raw, *holding: Any) -> tuple[int, bool]:
    return count, is_held(*holding, held_at=held_at, started_at=started_at, thawed_at=thawed_at)


def _settle(cursor: CursorWrapper, run_id: uuid.UUID, steps: Sequence[StepRow]) -> set[uuid.UUID]:
    """Lock the run's row and record the ends of attempts; which of them took effect."""
    if is_postgres():
        _, settled = ask_in_turn([_locking(run_id), settling(run_id, steps)])
        return {step_id for (step_id,) in settled}
    if not _lock_run(cursor, run_id):
        return set()
    return {step.id for step in steps if _settle_one(cursor, step)}


def _settle_one(cursor: CursorWrapper, step: StepRow) -> bool:
    cursor.execute(
        """UPDATE runs_steprun SET status = %s, inputs = %s, output = %s, error = %s, branch = %s, sanitized = %s,
               waits_for = %s, "then" = %s, available_at = %s, finished_at = %s, lease_expires_at = NULL,
               lost_count = %s, attempt = %s
           WHERE id = %s AND lease_token = %s AND status = 'running'""",
        [
            step.status,
            json_in(step.inputs),
            json_in(step.output),
            json_in(step.error),
            step.branch,
            step.sanitized,
            step.waits_for,
            json_in(step.then),
            time_in(step.available_at),
            time_in(step.finished_at),
            step.lost_count,
            step.attempt,
            uuid_in(step.id),
            step.lease_token,
        ],
    )
    return bool(cursor.rowcount)


def _state_row(row: tuple[Any, ...]) -> StepRow:
    return StepRow(
        id=uuid_out(row[0]),
        node_id=row[1],
        status=row[2],
        position=row[3],
        attempt=row[4],
        max_attempts=row[5],
        priority=row[6],
        queue=row[7],
        error=json_out(row[8]),
        branch=row[9],
        worker=row[10],
        available_at=time_out(row[11]),
        started_at=time_out(row[12]),
        finished_at=time_out(row[13]),
        lease_token=row[14],
        lease_expires_at=time_out(row[15]),
        lost_count=row[16],
        waits_for=row[17],
        then=json_out(row[18]),
        resolution=json_out(row[19]),
        index=row[20],
        stored=(row[2], row[14]),
    )
