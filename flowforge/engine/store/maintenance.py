"""What the timers ask of the database."""

import uuid
from datetime import UTC, datetime, timedelta

from django.db import connection

from flowforge.engine.store.sql import in_list, is_postgres, time_in, uuid_out, write


def take_due_runs(now: datetime, limit: int, again_after: timedelta) -> list[tuple[uuid.UUID, bool]]:
    """Runs whose `wake_at` has passed, and whether each is under way.

    They are due again after `again_after` if nobody comes. First those under way, which have moments to keep, then
    those that have yet to begin, by priority; most overdue first among equals. Its cost follows the number of runs that
    are due, not of those that wait or are stored. Moving `wake_at` is what makes it safe for any number of sweepers:
    each due run goes to one of them.
    """
    skip = " FOR UPDATE SKIP LOCKED" if is_postgres() else ""
    with write() as cursor:
        cursor.execute(
            "SELECT id, status FROM runs_run WHERE wake_at <= %s "
            "ORDER BY CASE WHEN status = 'pending' THEN 1 ELSE 0 END, "
            f"CASE WHEN status = 'pending' THEN -priority ELSE 0 END, wake_at LIMIT %s{skip}",
            [time_in(now), limit],
        )
        due = cursor.fetchall()
        if due:
            cursor.execute(
                f"UPDATE runs_run SET wake_at = %s WHERE id IN {in_list(due)}",
                [time_in(now + again_after), *(run_id for run_id, _ in due)],
            )
    return [(uuid_out(run_id), status != "pending") for run_id, status in due]


def has_due_runs(now: datetime) -> bool:
    """A read that takes no lock: an idle sweep must not write."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM runs_run WHERE wake_at <= %s LIMIT 1", [time_in(now)])
        return cursor.fetchone() is not None


def expire_all_leases(now: datetime) -> int:
    """For a process that knows that it is alone (the embedded default): whoever held a lease is dead, and so are the
    hints. Runs that are under way, or are to begin, are due at once; those that wait keep their moment."""
    with write() as cursor:
        cursor.execute(
            "UPDATE runs_steprun SET lease_expires_at = %s WHERE status = 'running' AND lease_expires_at > %s",
            [time_in(now), time_in(now)],
        )
        cursor.execute(
            "UPDATE runs_run SET lease_expires_at = CASE WHEN lease_expires_at > %s THEN %s ELSE lease_expires_at END, "
            "wake_at = %s WHERE wake_at > %s AND (lease_expires_at IS NOT NULL OR status = 'running' "
            "OR (status = 'pending' AND (run_at IS NULL OR run_at <= %s)))",
            [time_in(now)] * 5,
        )
        expired: int = cursor.rowcount
    return expired


def clock_offset() -> timedelta:
    """The database's clock minus this machine's; SQLite has no clock of its own."""
    if not is_postgres():
        return timedelta(0)
    with connection.cursor() as cursor:
        before = datetime.now(UTC)
        cursor.execute("SELECT clock_timestamp()")
        (theirs,) = cursor.fetchone()
        after = datetime.now(UTC)
    offset: timedelta = theirs - (before + (after - before) / 2)
    return offset
