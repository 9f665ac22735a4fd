"""Which queues have steps that wait for a worker, and since when."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.db import connection

MAX_GROUPS: Final = 5000  # (run, queue) pairs that one look weighs


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadyQueue:
    """A queue in which steps are ready that nobody has claimed."""

    since: datetime  # the oldest of them
    unhindered_since: datetime | None
    """The oldest of a run none of whose steps runs: no limit of its run can be what it waits for"""


def ready_queues(now: datetime) -> dict[str, ReadyQueue]:
    """By queue, for runs that are neither paused nor cancelled. Its cost follows the number of steps that are ready."""
    with connection.cursor() as cursor:
        cursor.execute(_READY, [now if connection.vendor == "postgresql" else _text(now), MAX_GROUPS])
        rows = cursor.fetchall()
    return {
        queue: ReadyQueue(since=_moment(since), unhindered_since=None if free is None else _moment(free))
        for queue, since, free in rows
    }


# the statuses stand in the text, as SQLite uses the partial index `step_claim` only where the text proves that it fits
_READY = """
    SELECT ready.queue, MIN(ready.since), MIN(CASE WHEN NOT EXISTS (
        SELECT 1 FROM runs_steprun AS other WHERE other.run_id = ready.run_id AND other.status = 'running'
      ) THEN ready.since END)
    FROM (
      SELECT step.run_id, step.queue, MIN(step.available_at) AS since FROM runs_steprun AS step
      WHERE step.status IN ('pending', 'retrying') AND step.available_at <= %s
      GROUP BY step.run_id, step.queue LIMIT %s
    ) AS ready
    JOIN runs_run AS run ON run.id = ready.run_id
    WHERE run.status = 'running' AND run.pause_requested_at IS NULL AND run.cancel_requested_at IS NULL
    GROUP BY ready.queue
"""


def _text(moment: datetime) -> str:
    """As SQLite keeps it: `2026-01-01 12:00:00.123456`."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def _moment(value: datetime | str) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
