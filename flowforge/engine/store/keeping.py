"""What the keeper asks of the database."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from flowforge.core.prepared import prepared
from flowforge.engine.store.sql import in_list, is_postgres, time_in, uuid_in, uuid_out, write

Lease = tuple[uuid.UUID, int]
"""Whose it is, and its token."""


@dataclass(frozen=True, slots=True)
class _Leased:
    """A table whose rows are leased: what extends a lease, how often the new moment is in that, which rows have one."""

    table: str
    sets: str
    moments: int
    held: str


_RUNS = _Leased("runs_run", "lease_expires_at = %s, wake_at = %s", 2, "lease_expires_at IS NOT NULL")
_STEPS = _Leased("runs_steprun", "lease_expires_at = %s", 1, "status = 'running'")


def renew_runs(leases: Sequence[Lease], until: datetime) -> None:
    """Extend leases of runs that are still ours."""
    _renew(_RUNS, leases, until)


def renew_steps(leases: Sequence[Lease], until: datetime) -> None:
    """Extend leases of steps that are still ours."""
    _renew(_STEPS, leases, until)


def _renew(leased: _Leased, leases: Sequence[Lease], until: datetime) -> None:
    statement = f"UPDATE {leased.table} SET {leased.sets} WHERE id = %s AND lease_token = %s AND {leased.held}"
    values = [(*[time_in(until)] * leased.moments, uuid_in(row_id), token) for row_id, token in leases]
    if not is_postgres():
        with write() as cursor:
            cursor.executemany(statement, values)
        return
    renewed = _renew_unlocked(leased, leases, until)
    for (row_id, _), each in zip(leases, values, strict=True):
        if row_id not in renewed:
            with connection.cursor() as cursor:
                cursor.execute(statement, each)


def _renew_unlocked(leased: _Leased, leases: Sequence[Lease], until: datetime) -> set[uuid.UUID]:
    """Those that nobody has locked, at once; says which. Whoever waits for a row while it has locked others may wait
    for somebody who waits for one of those: what is left is for transactions of one row each."""
    ids, tokens = [row_id for row_id, _ in leases], [token for _, token in leases]
    ours = (
        f"SELECT id FROM {leased.table} WHERE id = ANY(%s) AND {leased.held} "
        "AND lease_token = (%s::bigint[])[array_position(%s::uuid[], id)] FOR UPDATE SKIP LOCKED"
    )
    with prepared() as cursor:
        cursor.execute(
            f"UPDATE {leased.table} SET {leased.sets} WHERE id = ANY(ARRAY({ours})) RETURNING id",
            [*[until] * leased.moments, ids, tokens, ids],
        )
        return {row[0] for row in cursor.fetchall()}


def still_wanted(leases: Sequence[Lease]) -> dict[uuid.UUID, str]:
    """For running steps (id, lease token): `wanted`, or why not: `cancelled`, or `lost` to another worker."""
    if not leases:
        return {}
    tokens = dict(leases)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.id, s.status, s.lease_token, r.status, r.cancel_requested_at FROM runs_steprun s "
            f"JOIN runs_run r ON r.id = s.run_id WHERE s.id IN {in_list(leases)}",
            [uuid_in(step_id) for step_id, _ in leases],
        )
        rows = cursor.fetchall()
    found: dict[uuid.UUID, str] = {}
    for raw_id, status, token, run_status, cancel_requested_at in rows:
        step_id = uuid_out(raw_id)
        if cancel_requested_at is not None or status == "cancelled" or run_status == "cancelled":
            found[step_id] = "cancelled"
        elif status != "running" or token != tokens[step_id]:
            found[step_id] = "lost"
        else:
            found[step_id] = "wanted"
    return found
