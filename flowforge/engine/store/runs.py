"""Claiming a run, and the one fenced commit by which it moves."""

import uuid
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from flowforge.core.prepared import prepared
from flowforge.engine.store.at_once import commit_at_once
from flowforge.engine.store.holds import HOLDING, is_held
from flowforge.engine.store.rows import ClaimedRun, Commit, Committed, LeaseLost, Poked, Wishes
from flowforge.engine.store.sql import LIVE_RUNS, is_postgres, json_out, time_in, time_out, uuid_in, uuid_out, write
from flowforge.engine.store.writing import at_once, commit_in_turn

_RUN_COLUMNS = (
    "id, project_id, workflow_id, version_id, status, attempt, inputs, metadata, trigger_type, traceparent, "
    "created_at, run_at, started_at, deadline_at, cancel_requested_at, pause_requested_at, "
    "pokes, lease_token, event_seq, parent_run_id, awaited, priority, expires_at, "
    "concurrency_key, key_held_since, rate_key, queued_in, queued_at, "
    "(SELECT settings ->> 'max_concurrent_runs' FROM projects_project WHERE projects_project.id = runs_run.project_id)"
    f", held_at, thawed_at, {HOLDING}, lease_expires_at"
)

_CLAIM = """
    UPDATE runs_run SET lease_token = lease_token + 1, lease_owner = %s, lease_expires_at = %s, wake_at = %s
    WHERE {chosen} AND status IN {live} AND (lease_expires_at IS NULL OR lease_expires_at <= %s)
    RETURNING {columns}
"""
_POKE = f"UPDATE runs_run SET pokes = pokes + 1 WHERE {{chosen}} AND status IN {LIVE_RUNS} AND lease_expires_at > %s"


def claim_run(run_id: uuid.UUID, owner: str, now: datetime, lease_seconds: float) -> ClaimedRun | None:
    """Take the run's lease; None if it has ended or someone else has it, who is then poked to look again.

    The poke counts only while the lease is held: a holder releases only if its count is the newest, so that a hint
    is either seen by the holder or finds the run free.
    """
    for _ in range(10):
        claimed = _try_claim(run_id, owner, now, lease_seconds)
        if claimed is not None:
            return claimed
        with connection.cursor() as cursor:
            cursor.execute(_POKE.format(chosen="id = %s"), [uuid_in(run_id), time_in(now)])
            poked = cursor.rowcount
            if poked:
                return None
            cursor.execute(f"SELECT 1 FROM runs_run WHERE id = %s AND status IN {LIVE_RUNS}", [uuid_in(run_id)])
            if cursor.fetchone() is None:
                return None
    return None


def poke_together(chosen: str, values: Sequence[Any], now: datetime) -> set[uuid.UUID]:
    """Have the holders of the chosen runs look again; says which are held."""
    with prepared() as cursor:
        cursor.execute(f"{_POKE} RETURNING id".format(chosen=chosen), [*values, time_in(now)])
        return {uuid_out(row[0]) for row in cursor.fetchall()}


def live_among(chosen: str, values: Sequence[Any]) -> set[uuid.UUID]:
    """Which of the chosen runs have not ended."""
    with prepared() as cursor:
        cursor.execute(f"SELECT id FROM runs_run WHERE {chosen} AND status IN {LIVE_RUNS}", values)
        return {uuid_out(row[0]) for row in cursor.fetchall()}


def read_run(run_id: uuid.UUID) -> ClaimedRun | None:
    """A live run without its lease: for whoever executes steps of it. None if it has ended."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_RUN_COLUMNS} FROM runs_run WHERE id = %s AND status IN {LIVE_RUNS}",
            [uuid_in(run_id)],
        )
        row = cursor.fetchone()
    return None if row is None else claimed_run(row)


def commit(asked: Commit) -> Committed:
    """Write one decision round. Raises LeaseLost if the lease is no longer ours, Poked, or StaleState if a step has
    moved on meanwhile."""
    with nullcontext() if asked.along is None else transaction.atomic():
        row = write_commit(asked)
    return committed(asked, row)


def write_commit(asked: Commit) -> tuple[Any, ...] | None:
    """Write it in a transaction of its own, or within the caller's; the run's row, None if that is not ours.

    Nothing in memory changes before `committed`, so that a transaction that fails can be made again.
    """
    if is_postgres() and asked.update.failure is None:  # failing is rare: it may cost its round trips
        row = commit_at_once(at_once(asked))
    else:
        with write() as cursor:
            [row] = commit_in_turn(cursor, [asked])
    if row is not None and asked.along is not None:
        asked.along()
    return row


def committed(asked: Commit, row: tuple[Any, ...] | None) -> Committed:
    """What the driver is to know of a commit that is on disk. Raises LeaseLost or Poked if it wrote nothing."""
    run = asked.run
    if row is None:
        guarded = asked.unless_poked or asked.unless_frozen or asked.unless_cancelled
        raise Poked(run.id) if guarded and _still_holds(run) else LeaseLost(run.id)
    seq, pokes, cancel, pause, lease = row[:5]
    for step in asked.steps:
        step.stored = (step.status, step.lease_token)
    run.event_seq, run.leased_until = seq, time_out(lease)
    return Committed(
        pokes=pokes, released=lease is None, cancel_requested=cancel is not None, pause_requested=pause is not None
    )


def read_wishes(run_id: uuid.UUID) -> Wishes:
    """What is asked of a run by now."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pokes, cancel_requested_at, pause_requested_at, deadline_at, held_at, started_at, thawed_at, "
            f"{HOLDING} "
            "FROM runs_run WHERE id = %s",
            [uuid_in(run_id)],
        )
        pokes, cancel, pause, deadline_at, held_at, started_at, thawed_at, *holding = cursor.fetchone()
    return Wishes(
        pokes=pokes,
        cancel_requested=cancel is not None,
        pause_requested=pause is not None,
        frozen=is_held(*holding, held_at=held_at, started_at=started_at, thawed_at=thawed_at),
        held_at=time_out(held_at),
        deadline_at=time_out(deadline_at),
    )


def read_progress(run_id: uuid.UUID) -> tuple[str, datetime | None, int]:
    """A run's status, when it began and the seq of its newest event."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT status, started_at, event_seq FROM runs_run WHERE id = %s", [uuid_in(run_id)])
        status, started_at, event_seq = cursor.fetchone()
    return status, time_out(started_at), event_seq


def give_back(run: ClaimedRun, wake_at: datetime) -> None:
    """End the lease without a decision: the driver has failed, someone is to try again at `wake_at`.

    It leaves its queue until then: others must not wait for what cannot be driven.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE runs_run SET lease_expires_at = NULL, lease_owner = '', wake_at = %s, queued_in = NULL "
            "WHERE id = %s AND lease_token = %s AND lease_expires_at IS NOT NULL",
            [time_in(wake_at), uuid_in(run.id), run.lease_token],
        )


def claiming(chosen: str, owner: str, now: datetime, lease_seconds: float) -> tuple[str, list[Any], list[Any]]:
    """The statement that takes the leases of the chosen runs, and its values before and after those of `chosen`."""
    until = time_in(now + timedelta(seconds=lease_seconds))
    return _CLAIM.format(chosen=chosen, live=LIVE_RUNS, columns=_RUN_COLUMNS), [owner, until, until], [time_in(now)]


def _try_claim(run_id: uuid.UUID, owner: str, now: datetime, lease_seconds: float) -> ClaimedRun | None:
    statement, before, after = claiming("id = %s", owner, now, lease_seconds)
    with prepared() as cursor:
        cursor.execute(statement, [*before, uuid_in(run_id), *after])
        row = cursor.fetchone()
    return None if row is None else claimed_run(row)


def claimed_run(row: tuple[Any, ...]) -> ClaimedRun:
    """A row of what `claiming` returns."""
    created_at = time_out(row[10])
    assert created_at is not None  # noqa: S101  the column is not null
    return ClaimedRun(
        id=uuid_out(row[0]),
        project_id=uuid_out(row[1]),
        workflow_id=uuid_out(row[2]),
        version_id=uuid_out(row[3]),
        status=row[4],
        attempt=row[5],
        inputs=json_out(row[6]),
        metadata=json_out(row[7]),
        trigger_type=row[8],
        traceparent=row[9],
        created_at=created_at,
        run_at=time_out(row[11]),
        started_at=time_out(row[12]),
        deadline_at=time_out(row[13]),
        cancel_requested=row[14] is not None,
        pause_requested=row[15] is not None,
        pokes=row[16],
        lease_token=row[17],
        event_seq=row[18],
        parent_run_id=None if row[19] is None else uuid_out(row[19]),
        awaited=bool(row[20]),
        priority=row[21],
        expires_at=time_out(row[22]),
        concurrency_key=row[23],
        key_held_since=time_out(row[24]),
        rate_key=row[25],
        queued_in=row[26],
        queued_at=time_out(row[27]),
        run_limit=None if row[28] is None else int(row[28]),
        leased_until=time_out(row[33]),
        held_at=time_out(row[29]),
        frozen=is_held(row[31], row[32], held_at=row[29], started_at=row[12], thawed_at=row[30]),
    )


def _still_holds(run: ClaimedRun) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM runs_run WHERE id = %s AND lease_token = %s AND lease_expires_at IS NOT NULL",
            [uuid_in(run.id), run.lease_token],
        )
        return cursor.fetchone() is not None
