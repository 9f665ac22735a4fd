"""What limits ask of the database: who has a place, who stands in which queue, how far a pace is used up.

Occupancy is always counted from live rows, under the gate's lock, in the transaction that changes it: no counter can
leak. Locks are taken after all rows but queued ones, which are never waited for, and in the order of a run's gates:
so nobody can deadlock. On SQLite a writing transaction is alone anyway.
"""

import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from django.db import connection

from flowforge.engine.store.sql import in_list, is_postgres, time_in, time_out, uuid_in, uuid_out
from runs.gates import Gate

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
# SQLite knows an index on a nullable column by a comparison, not by IS NOT NULL
_HOLDS = {
    "key": "workflow_id = %s AND concurrency_key = %s AND finished_at IS NULL AND key_held_since >= %s",
    "project": "project_id = %s AND status = 'running'",
}
_SINCE = {"key": "key_held_since", "project": "started_at"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A run in a queue, by what its place there depends on."""

    priority: int
    id: uuid.UUID

    def is_ahead_of(self, other: "Standing") -> bool:
        """Higher priority first, then the older: ids are in the order of their creation."""
        return (-self.priority, self.id) < (-other.priority, other.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderRow:
    id: uuid.UUID
    since: datetime | None


def lock(gate: Gate) -> None:
    """Until the transaction ends, nobody else counts or changes who has this gate's places."""
    if is_postgres():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_lock_number(gate.id)])


def limits_in_force(workflow_id: uuid.UUID) -> tuple[int | None, uuid.UUID]:
    """(the project's `max_concurrent_runs`, the id of the workflow's newest version) at this moment."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.settings ->> 'max_concurrent_runs', v.id FROM workflows_workflow w "
            "JOIN projects_project p ON p.id = w.project_id "
            "JOIN workflows_workflowversion v ON v.workflow_id = w.id AND v.version = w.version WHERE w.id = %s",
            [uuid_in(workflow_id)],
        )
        limit, version_id = cursor.fetchone()
    return None if limit is None else int(limit), uuid_out(version_id)


def project_limit(project_id: uuid.UUID) -> int | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT settings ->> 'max_concurrent_runs' FROM projects_project WHERE id = %s", [uuid_in(project_id)]
        )
        row = cursor.fetchone()
    return None if row is None or row[0] is None else int(row[0])


def count_holders(gate: Gate, other_than: uuid.UUID | None = None) -> int:
    """How many runs have a place of a key or a project."""
    condition, values = _holding(gate, other_than)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM runs_run WHERE {condition}", values)
        (count,) = cursor.fetchone()
    return int(count)


def holders(gate: Gate, limit: int, other_than: uuid.UUID | None = None) -> list[HolderRow]:
    """Who has the places, longest first."""
    condition, values = _holding(gate, other_than)
    since = _SINCE[gate.kind]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, {since} FROM runs_run WHERE {condition} ORDER BY {since}, id LIMIT %s", [*values, limit]
        )
        return [HolderRow(id=uuid_out(row[0]), since=time_out(row[1])) for row in cursor.fetchall()]


def standing_at(gate: Gate, place: int, other_than: uuid.UUID) -> Standing | None:
    """Who stands at this place (from 1) of a gate's queue, one run left out; None if the queue is shorter."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT priority, id FROM runs_run WHERE queued_in = %s AND id <> %s "
            "ORDER BY priority DESC, id LIMIT 1 OFFSET %s",
            [gate.id, uuid_in(other_than), place - 1],
        )
        row = cursor.fetchone()
    return None if row is None else Standing(priority=row[0], id=uuid_out(row[1]))


def count_ahead(gate: Gate, run: Standing) -> int:
    """How many stand before a run in a gate's queue: for people, as its cost follows the queue's length."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM runs_run WHERE queued_in = %s AND (priority > %s OR (priority = %s AND id < %s))",
            [gate.id, run.priority, run.priority, uuid_in(run.id)],
        )
        (count,) = cursor.fetchone()
    return int(count)


def arrival(gate: Gate) -> datetime | None:
    """The theoretical arrival time of a rate's next run; None: it has been idle."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT arrives_at FROM runs_ratepace WHERE workflow_id = %s AND key = %s", [uuid_in(gate.owner), gate.key]
        )
        row = cursor.fetchone()
    return None if row is None else time_out(row[0])


def set_arrival(gate: Gate, moment: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO runs_ratepace (workflow_id, key, arrives_at) VALUES (%s, %s, %s) "
            "ON CONFLICT (workflow_id, key) DO UPDATE SET arrives_at = excluded.arrives_at",
            [uuid_in(gate.owner), gate.key, time_in(moment)],
        )


def park(run_id: uuid.UUID, gate: Gate | None, reason: str, now: datetime, key_held_since: datetime | None) -> None:
    """Let a run stand in a gate's queue (None: in none); since when is kept if it stands there already. Its row is the
    caller's."""
    queue = None if gate is None else gate.id
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE runs_run SET queued_at = CASE WHEN queued_in = %s THEN queued_at ELSE %s END, queued_in = %s, "
            "status_reason = %s, key_held_since = %s WHERE id = %s".replace(
                "ELSE %s", "ELSE %s::timestamptz" if is_postgres() else "ELSE %s"
            ),
            [queue, time_in(now), queue, reason, time_in(key_held_since), uuid_in(run_id)],
        )


def wake_heads(gate: Gate, count: int, at: datetime, unless_before: datetime) -> list[uuid.UUID]:
    """Let the first `count` runs of a queue be looked at `at` that moment; says which of them were not to be yet.

    A run that somebody drives looks for itself, and one that somebody has locked is left out: nobody is waited for.
    """
    skip = " FOR UPDATE SKIP LOCKED" if is_postgres() else ""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM runs_run WHERE id IN "
            "(SELECT id FROM runs_run WHERE queued_in = %s ORDER BY priority DESC, id LIMIT %s) "
            "AND (wake_at IS NULL OR wake_at > %s) AND (lease_expires_at IS NULL OR lease_expires_at <= %s) "
            "ORDER BY priority DESC, id" + skip,
            [gate.id, count, time_in(unless_before), time_in(at)],
        )
        ids = [row[0] for row in cursor.fetchall()]
        if ids:
            cursor.execute(f"UPDATE runs_run SET wake_at = %s WHERE id IN {in_list(ids)}", [time_in(at), *ids])
    return [uuid_out(run_id) for run_id in ids]


def queues_after(gate_id: str, limit: int) -> list[Gate]:
    """Gates before which runs stand, in the order of their ids. Costs as much as it gives, however many stand there."""
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH RECURSIVE queues(id) AS (
                   SELECT min(queued_in) FROM runs_run WHERE queued_in > %s
                   UNION ALL
                   SELECT (SELECT min(queued_in) FROM runs_run WHERE queued_in > queues.id)
                   FROM queues WHERE queues.id IS NOT NULL
               ) SELECT id FROM queues WHERE id IS NOT NULL LIMIT %s""",
            [gate_id, limit],
        )
        return [Gate.of(row[0]) for row in cursor.fetchall()]


def superseded(gate: Gate, run_id: uuid.UUID, keep: int, limit: int) -> list[uuid.UUID]:
    """Who gives way to a run with `on_conflict: cancel_running`: of those that have a place of its key or came before
    it, all but the newest `keep`, as many as `limit`."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT r.id FROM runs_run r, runs_run me WHERE me.id = %s AND r.id <> me.id "
            "AND r.workflow_id = %s AND r.concurrency_key = %s AND r.finished_at IS NULL "
            "AND (r.key_held_since IS NOT NULL OR (r.queued_in = %s AND (r.queued_at < me.queued_at "
            "OR (r.queued_at = me.queued_at AND r.id < me.id)))) "
            "ORDER BY CASE WHEN r.key_held_since IS NULL THEN 0 ELSE 1 END, "
            "COALESCE(r.key_held_since, r.queued_at) DESC, r.id DESC LIMIT %s OFFSET %s",
            [uuid_in(run_id), uuid_in(gate.owner), gate.key, gate.id, limit, keep],
        )
        return [uuid_out(row[0]) for row in cursor.fetchall()]


def cancel_reason(run_id: uuid.UUID) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT cancel_reason FROM runs_run WHERE id = %s", [uuid_in(run_id)])
        (reason,) = cursor.fetchone()
    return str(reason)


def forget_paces(*, now: datetime, limit: int) -> int:
    """Delete at most `limit` rows of rates that have been idle: no row says the same."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM runs_ratepace WHERE id IN "
            "(SELECT id FROM runs_ratepace WHERE arrives_at <= %s ORDER BY arrives_at LIMIT %s) AND arrives_at <= %s",
            [time_in(now - timedelta(minutes=1)), limit, time_in(now - timedelta(minutes=1))],
        )
        deleted: int = cursor.rowcount
    return deleted


def _holding(gate: Gate, other_than: uuid.UUID | None) -> tuple[str, list[Any]]:
    condition = _HOLDS[gate.kind]
    values: list[Any] = [uuid_in(gate.owner)]
    if gate.kind == "key":
        values += [gate.key, time_in(_EPOCH)]
    if other_than is not None:
        condition += " AND id <> %s"
        values.append(uuid_in(other_than))
    return condition, values


@lru_cache(maxsize=10_000)
def _lock_number(gate_id: str) -> int:
    """64 bits with a sign: two gates that share a lock only wait for each other now and then."""
    return int.from_bytes(hashlib.blake2b(gate_id.encode(), digest_size=8).digest(), "big", signed=True)
