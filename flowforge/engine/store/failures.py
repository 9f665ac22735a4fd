"""Counting failures that are alike: one row a group, written by the commit that ends the run."""

from django.db.backends.utils import CursorWrapper

from flowforge.engine.store.rows import ClaimedRun, Failure
from flowforge.engine.store.sql import time_in, uuid_in

_COUNT = """
    INSERT INTO runs_failuregroup
        (id, project_id, workflow_id, node_id, code, message, status, "count", first_seen_at, last_seen_at,
         sample_run_id)
    VALUES (%s, %s, %s, %s, %s, %s, 'open', 1, %s, %s, %s)
    ON CONFLICT (id) DO UPDATE SET "count" = runs_failuregroup."count" + 1, last_seen_at = excluded.last_seen_at,
        sample_run_id = excluded.sample_run_id, status = 'open', resolved_at = NULL
"""


def count_failure(cursor: CursorWrapper, run: ClaimedRun, failure: Failure) -> None:
    """Add a failed run to its group, which is open from now on, within the transaction that ends the run.

    So a count is neither lost nor doubled, whatever dies. The transaction holds the run's row by now and takes no
    other group's: no two of them can wait for each other.
    """
    found, at = failure.fingerprint, time_in(failure.at)
    cursor.execute(
        _COUNT,
        [
            *(uuid_in(found.id), uuid_in(run.project_id), uuid_in(run.workflow_id)),
            *(found.node_id, found.code, found.message, at, at, uuid_in(run.id)),
        ],
    )
