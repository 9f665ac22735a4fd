"""What stands in which queue and who has how much: for people who ask, never for decisions."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from flowforge.engine.store.sql import LIVE, OPEN_ITEMS, time_in, time_out, uuid_in, uuid_out
from flowforge.operating.constants import THAWED
from workflows.selectors import definition_of

_RUNNING = "status = 'running' AND lease_expires_at > %s"


@dataclass(frozen=True, slots=True, kw_only=True)
class BusyRun:
    run_id: uuid.UUID
    version_id: uuid.UUID
    running: int  # steps, items of maps too
    ready: int


def queue_length(gate_id: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM runs_run WHERE queued_in = %s", [gate_id])
        (count,) = cursor.fetchone()
    return int(count)


def keys_in_use(project_id: uuid.UUID, limit: int) -> list[tuple[uuid.UUID, str, int]]:
    """(workflow, key, runs that hold a place of it), those with most first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT workflow_id, concurrency_key, count(*) FROM runs_run "
            "WHERE workflow_id IN (SELECT id FROM workflows_workflow WHERE project_id = %s) "
            "AND concurrency_key IS NOT NULL AND finished_at IS NULL AND key_held_since IS NOT NULL "
            "GROUP BY workflow_id, concurrency_key ORDER BY 3 DESC, 1, 2 LIMIT %s",
            [uuid_in(project_id), limit],
        )
        return [(uuid_out(row[0]), row[1], int(row[2])) for row in cursor.fetchall()]


def paces_in_use(project_id: uuid.UUID, now: datetime, limit: int) -> list[tuple[uuid.UUID, str, datetime | None]]:
    """(workflow, key, theoretical arrival time) of rates that are not idle, those that are used up most first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT workflow_id, key, arrives_at FROM runs_ratepace "
            "WHERE workflow_id IN (SELECT id FROM workflows_workflow WHERE project_id = %s) AND arrives_at > %s "
            "ORDER BY arrives_at DESC LIMIT %s",
            [uuid_in(project_id), time_in(now), limit],
        )
        return [(uuid_out(row[0]), row[1], time_out(row[2])) for row in cursor.fetchall()]


def busiest_runs(project_id: uuid.UUID, now: datetime, limit: int) -> list[BusyRun]:
    """Its runs with steps that run, those with most first. A step whose lease has ended runs no more."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT id, version_id, running, ready FROM (
                SELECT run.id, run.version_id,
                  (SELECT count(*) FROM runs_steprun WHERE run_id = run.id AND "index" = -1 AND {_RUNNING})
                  + (SELECT count(*) FROM runs_steprun WHERE run_id = run.id AND {OPEN_ITEMS} AND {_RUNNING})
                    AS running,
                  (SELECT count(*) FROM runs_steprun WHERE run_id = run.id AND status IN ('pending', 'retrying')
                    AND available_at <= %s) AS ready
                FROM runs_run AS run WHERE run.project_id = %s AND run.status = 'running'
              ) AS busy WHERE running > 0 ORDER BY running DESC, id LIMIT %s""",
            [time_in(now), time_in(now), time_in(now), uuid_in(project_id), limit],
        )
        return [
            BusyRun(run_id=uuid_out(row[0]), version_id=uuid_out(row[1]), running=int(row[2]), ready=int(row[3]))
            for row in cursor.fetchall()
        ]


def running_steps(run_id: uuid.UUID, now: datetime, limit: int) -> list[tuple[uuid.UUID, datetime | None]]:
    """(step, since when) of those that run, longest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, started_at FROM runs_steprun WHERE run_id = %s AND status IN {LIVE} AND {_RUNNING} "
            "ORDER BY started_at, id LIMIT %s",
            [uuid_in(run_id), time_in(now), limit],
        )
        return [(uuid_out(row[0]), time_out(row[1])) for row in cursor.fetchall()]


def max_concurrency(version_id: uuid.UUID) -> int:
    return definition_of(version_id).config.max_concurrency


def frozen_workflows(project_id: uuid.UUID) -> list[uuid.UUID]:
    """Those with a freeze that holds or thaws."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT h.scope_id FROM operating_hold h JOIN workflows_workflow w ON w.id = h.scope_id "
            f"WHERE w.project_id = %s AND h.status <> '{THAWED}'",
            [uuid_in(project_id)],
        )
        return [uuid_out(row[0]) for row in cursor.fetchall()]
