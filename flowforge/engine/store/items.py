"""What is asked of a map's items. However many have ended, each answer but the last two costs a look into an index."""

import uuid

from django.db import connection

from flowforge.core.json import Json
from flowforge.engine.store.sql import LIVE, OPEN_ITEMS, json_out, uuid_in


def load_list(step_id: uuid.UUID) -> list[Json]:
    """What a map goes over."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT items FROM runs_steprun WHERE id = %s", [uuid_in(step_id)])
        row = cursor.fetchone()
    found: list[Json] = json_out(row[0]) or []
    return found


def begun_count(run_id: uuid.UUID, node_id: str) -> int:
    """How many items have begun: they do so in their order."""
    with connection.cursor() as cursor:
        cursor.execute(
            'SELECT MAX("index") FROM runs_steprun WHERE run_id = %s AND node_id = %s', [uuid_in(run_id), node_id]
        )
        (highest,) = cursor.fetchone()
    return int(highest) + 1


def any_live(run_id: uuid.UUID, node_id: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM runs_steprun "
            f"WHERE run_id = %s AND node_id = %s AND {OPEN_ITEMS} AND status IN {LIVE} LIMIT 1",
            [uuid_in(run_id), node_id],
        )
        return cursor.fetchone() is not None


def first_failure(run_id: uuid.UUID, node_id: str) -> tuple[int, Json] | None:
    """(index, error) of the first item that failed, of those few that do before their map ends with them."""
    with connection.cursor() as cursor:
        cursor.execute(
            'SELECT "index", error FROM runs_steprun '
            f"WHERE run_id = %s AND node_id = %s AND {OPEN_ITEMS} AND status = 'failed'",
            [uuid_in(run_id), node_id],
        )
        failed = sorted(cursor.fetchall(), key=lambda row: row[0])
    return (failed[0][0], json_out(failed[0][1])) if failed else None


def results_length(run_id: uuid.UUID, node_id: str) -> int:
    """Characters of all its items' outputs and errors together, as they are stored."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT SUM(COALESCE(LENGTH(CAST(output AS TEXT)), 4) + COALESCE(LENGTH(CAST(error AS TEXT)), 0)) "
            'FROM runs_steprun WHERE run_id = %s AND node_id = %s AND "index" >= 0',
            [uuid_in(run_id), node_id],
        )
        (total,) = cursor.fetchone()
    return int(total or 0)


def load_results(run_id: uuid.UUID, node_id: str) -> list[tuple[int, str, Json, Json]]:
    """(index, status, output, error) of all its items, in order."""
    with connection.cursor() as cursor:
        cursor.execute(
            'SELECT "index", status, output, error FROM runs_steprun '
            'WHERE run_id = %s AND node_id = %s AND "index" >= 0 ORDER BY "index"',
            [uuid_in(run_id), node_id],
        )
        return [(row[0], row[1], json_out(row[2]), json_out(row[3])) for row in cursor.fetchall()]
