"""What the keeper asks of the database."""

import uuid
from collections.abc import Sequence

from django.db import connection

from flowforge.engine.store.sql import in_list, uuid_in, uuid_out


def still_wanted(leases: Sequence[tuple[uuid.UUID, int]]) -> dict[uuid.UUID, str]:
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
