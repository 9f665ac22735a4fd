"""What a run asks of the runs that it waits for."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection

from flowforge.core.json import Json
from flowforge.engine.store.sql import in_list, json_out, uuid_in, uuid_out

_CHUNK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedRun:
    id: uuid.UUID
    status: str
    outputs: Json
    error: Json


def ended_runs(run_ids: Sequence[uuid.UUID]) -> list[EndedRun]:
    """Those of these runs that have ended."""
    found = []
    for first in range(0, len(run_ids), _CHUNK):
        chunk = run_ids[first : first + _CHUNK]
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT id, status, outputs, error FROM runs_run "
                f"WHERE finished_at IS NOT NULL AND id IN {in_list(chunk)}",
                [uuid_in(run_id) for run_id in chunk],
            )
            found += [
                EndedRun(id=uuid_out(row[0]), status=row[1], outputs=json_out(row[2]), error=json_out(row[3]))
                for row in cursor.fetchall()
            ]
    return found
