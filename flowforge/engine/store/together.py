"""Several runs' claims and commits as one: one transaction, one wait for the disk."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from flowforge.core.prepared import prepared
from flowforge.engine.store.at_once import commits_at_once
from flowforge.engine.store.rows import ClaimedRun, Commit, Committed
from flowforge.engine.store.runs import (
    claim_run,
    claimed_run,
    claiming,
    commit,
    committed,
    live_among,
    poke_together,
)
from flowforge.engine.store.sql import any_of, chosen_by, is_postgres, write
from flowforge.engine.store.writing import at_once, commit_in_turn

Row = tuple[Any, ...]


def claim_together(run_ids: Sequence[uuid.UUID], owner: str, now: datetime, lease_seconds: float) -> list[ClaimedRun]:
    """Take the leases of those of these runs that are to be had; whoever has another is poked, as by `claim_run`.

    Each is given once, however often it is named: of two who drive a run by one lease, one would let it go while the
    other does its step.
    """
    run_ids = list(dict.fromkeys(run_ids))
    if len(run_ids) == 1:
        found = claim_run(run_ids[0], owner, now, lease_seconds)
        return [] if found is None else [found]
    chosen, values = _locked(run_ids)
    statement, before, after = claiming(chosen, owner, now, lease_seconds)
    with prepared() as cursor:
        cursor.execute(statement, [*before, *values, *after])
        claimed = {run.id: run for run in map(claimed_run, cursor.fetchall())}
    others = [run_id for run_id in run_ids if run_id not in claimed]
    again = (claim_run(run_id, owner, now, lease_seconds) for run_id in _neither_held_nor_ended(others, now))
    claimed |= {run.id: run for run in again if run is not None}
    return [claimed[run_id] for run_id in run_ids if run_id in claimed]


def _neither_held_nor_ended(run_ids: Sequence[uuid.UUID], now: datetime) -> list[uuid.UUID]:
    """Poke those that somebody has. What is left was let go this moment, or its row is locked: one by one, then."""
    if not run_ids:
        return []
    held = poke_together(*_locked(run_ids), now)
    rest = [run_id for run_id in run_ids if run_id not in held]
    if not rest:
        return []
    condition, values = any_of(rest)
    live = live_among(f"id {condition}", values)
    return [run_id for run_id in rest if run_id in live]


def _locked(run_ids: Sequence[uuid.UUID]) -> tuple[str, list[Any]]:
    """A condition that chooses these runs: in an order, or two that were given the same hints could wait for each
    other."""
    condition, values = any_of(run_ids)
    if not is_postgres():
        return f"id {condition}", values
    return chosen_by(f"SELECT id FROM runs_run WHERE id {condition} ORDER BY id FOR UPDATE SKIP LOCKED"), values


def commit_together(asked: Sequence[Commit]) -> list[Committed | Exception]:
    """Write each of these rounds, or nothing of it; what became of each, in their order.

    They share a transaction as long as all goes well. If anything fails it is rolled back as a whole, and each is
    written by itself: a step that has moved on, which is rare, must not keep the others from the disk. So are rounds
    that write to more than their own run: two transactions that each hold several runs must not wait for each other.
    """
    simple = [place for place, each in enumerate(asked) if each.along is None and each.update.failure is None]
    rows = _write_together([asked[place] for place in simple]) if len(simple) > 1 else None
    # by place, not by run: of a run that was taken over meanwhile a thread may hold the old lease and the new one
    written = {} if rows is None else dict(zip(simple, rows, strict=True))
    return [_outcome(each, place, written) for place, each in enumerate(asked)]


def _write_together(asked: Sequence[Commit]) -> list[Row | None] | None:
    """What each run's row says now, None where the lease is another's; None if nothing was written."""
    try:
        if is_postgres():
            return commits_at_once([at_once(each) for each in asked])
        with write() as cursor:
            return commit_in_turn(cursor, asked)
    except Exception:  # noqa: BLE001  whose fault it is, and what to do, is found when each is written by itself
        return None


def _outcome(asked: Commit, place: int, written: Mapping[int, Row | None]) -> Committed | Exception:
    try:
        return committed(asked, written[place]) if place in written else commit(asked)
    except Exception as error:  # noqa: BLE001  it is thrown where the round was asked for
        return error
