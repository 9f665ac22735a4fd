"""What freezes hold of runs, and letting it go. The conditions that claims and commits ask, in one place.

`IS_FROZEN` guards each beginning, in its very statement. `HOLDING` is what a run is claimed with, for `is_held`.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.backends.utils import CursorWrapper

from flowforge.engine.store.sql import in_list, is_postgres, time_in, time_out, uuid_in, uuid_out
from flowforge.operating.constants import ENGINE_ID, FROZEN, THAWED, THAWING

_OVER = f"operating_hold h WHERE h.scope_id IN (runs_run.project_id, runs_run.workflow_id, '{ENGINE_ID.hex}')"
IS_FROZEN = f"EXISTS (SELECT 1 FROM {_OVER} AND h.status = '{FROZEN}')"
# (`frozen`, `thawing` or null; since when what thaws was frozen). What comes of it is for `is_held` to say: in a
# subquery of RETURNING, SQLite takes columns of the updated table to be never null
HOLDING = (
    f"(SELECT MIN(h.status) FROM {_OVER} AND h.status <> '{THAWED}'), "
    f"(SELECT MAX(h.since) FROM {_OVER} AND h.status = '{THAWING}')"
)
_HELD_RUNS = "runs_run.held_at IS NOT NULL"

Raw = datetime | str | None  # a moment as the driver gives it


def is_held(holding: str | None, since: Raw, *, held_at: Raw, started_at: Raw, thawed_at: Raw) -> bool:
    """Whether a freeze holds a run (`holding, since`: HOLDING).

    While it thaws it holds what it has held back, and of what has come since all that is yet to begin, until their
    turn; runs that are under way go on.
    """
    if holding != THAWING:
        return holding == FROZEN
    if held_at is not None or started_at is not None:
        return held_at is not None
    let_go, frozen = time_out(thawed_at), time_out(since)
    return let_go is None or (frozen is not None and let_go < frozen)


@dataclass(slots=True, kw_only=True)
class HoldRow:
    """A freeze that the sweep has to do something about, locked."""

    scope: str
    scope_id: uuid.UUID
    status: str
    since: datetime
    until: datetime | None
    rate: str
    paced_to: datetime | None


def unsettled(now: datetime) -> list[uuid.UUID]:
    """The freezes that thaw, that have thawed, and whose time is up. Of a table that has few rows, mostly none."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT scope_id FROM operating_hold WHERE status <> '{FROZEN}' OR until <= %s", [time_in(now)])
        return [uuid_out(row[0]) for row in cursor.fetchall()]


def lock(cursor: CursorWrapper, scope_id: uuid.UUID) -> HoldRow | None:
    """One of them for us alone; None if another sweep has it, or it is gone."""
    skip = " FOR UPDATE SKIP LOCKED" if is_postgres() else ""
    cursor.execute(
        f"SELECT scope, status, since, until, rate, paced_to FROM operating_hold WHERE scope_id = %s{skip}",
        [uuid_in(scope_id)],
    )
    row = cursor.fetchone()
    if row is None:
        return None
    since = time_out(row[2])
    assert since is not None  # noqa: S101  the column is not null
    return HoldRow(
        scope=row[0],
        scope_id=scope_id,
        status=row[1],
        since=since,
        until=time_out(row[3]),
        rate=row[4],
        paced_to=time_out(row[5]),
    )


def store(cursor: CursorWrapper, hold: HoldRow) -> None:
    cursor.execute(
        "UPDATE operating_hold SET status = %s, until = %s, rate = %s, paced_to = %s WHERE scope_id = %s",
        [hold.status, time_in(hold.until), hold.rate, time_in(hold.paced_to), uuid_in(hold.scope_id)],
    )


def remove(cursor: CursorWrapper, hold: HoldRow) -> None:
    cursor.execute("DELETE FROM operating_hold WHERE scope_id = %s", [uuid_in(hold.scope_id)])


def let_go(cursor: CursorWrapper, hold: HoldRow, limit: int, now: datetime) -> list[uuid.UUID]:
    """Release up to `limit` of the runs that it has held back: highest priority first, then the oldest.

    Those that another freeze holds stay. The time for which a run was frozen counts neither towards its timeout nor
    towards `expires_in`.
    """
    condition, values = _of(hold)
    skip = " FOR UPDATE SKIP LOCKED" if is_postgres() else ""
    cursor.execute(
        "SELECT id, COALESCE(started_at, created_at), deadline_at, CASE WHEN started_at IS NULL THEN expires_at END "
        f"FROM runs_run WHERE {_HELD_RUNS}{condition} AND NOT {IS_FROZEN} "
        f"ORDER BY priority DESC, created_at, id LIMIT %s{skip}",
        [*values, limit],
    )
    rows = cursor.fetchall()
    cursor.executemany(
        "UPDATE runs_run SET deadline_at = COALESCE(%s, deadline_at), expires_at = COALESCE(%s, expires_at) "
        "WHERE id = %s",
        [
            (*(time_in(_later(moment, hold.since, begun, now)) for moment in (deadline, expiry)), run_id)
            for run_id, begun, deadline, expiry in rows
            if deadline is not None or expiry is not None
        ],
    )
    if rows:
        cursor.execute(
            "UPDATE runs_run SET held_at = NULL, thawed_at = %s, wake_at = %s, pokes = pokes + 1 "
            f"WHERE id IN {in_list(rows)}",
            [time_in(now), time_in(now), *(row[0] for row in rows)],
        )
    return [uuid_out(row[0]) for row in rows]


def count_ahead(run_id: uuid.UUID) -> int:
    """How many runs of its project are let go before this one: for people."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) FROM runs_run, runs_run me WHERE {_HELD_RUNS} AND me.id = %s "
            "AND runs_run.project_id = me.project_id AND (runs_run.priority > me.priority OR "
            "(runs_run.priority = me.priority AND (runs_run.created_at < me.created_at OR "
            "(runs_run.created_at = me.created_at AND runs_run.id < me.id))))",
            [uuid_in(run_id)],
        )
        (count,) = cursor.fetchone()
    return int(count)


def count_held(project_id: uuid.UUID) -> int:
    """How many of its runs are held back."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) FROM runs_run WHERE {_HELD_RUNS} AND runs_run.project_id = %s", [uuid_in(project_id)]
        )
        (count,) = cursor.fetchone()
    return int(count)


def _later(moment: Raw, since: datetime, begun: Raw, now: datetime) -> datetime | None:
    """A moment that comes later by as long as the run was frozen."""
    due, begun_at = time_out(moment), time_out(begun)
    return None if due is None or begun_at is None else due + (now - max(since, begun_at))


def any_held(cursor: CursorWrapper, hold: HoldRow) -> bool:
    """Whether a run is left that this freeze alone holds back."""
    condition, values = _of(hold)
    cursor.execute(f"SELECT 1 FROM runs_run WHERE {_HELD_RUNS}{condition} AND NOT {IS_FROZEN} LIMIT 1", values)
    return cursor.fetchone() is not None


def _of(hold: HoldRow) -> tuple[str, Sequence[Any]]:
    if hold.scope == "project":
        return " AND runs_run.project_id = %s", [uuid_in(hold.scope_id)]
    if hold.scope == "workflow":
        return " AND runs_run.workflow_id = %s", [uuid_in(hold.scope_id)]
    return "", []
