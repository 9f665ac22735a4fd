"""`config.debounce`: starts with the same key become one run, which begins once nobody has asked again for a while."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from runs import transitions
from runs.models import DebounceKey, Run

_KEPT: Final = timedelta(days=7)  # a run that has not begun so long after its moment is not joined any more


def coalesce(*, workflow_id: uuid.UUID, runs: Sequence[Run], now: datetime) -> dict[uuid.UUID, uuid.UUID]:
    """For each of these runs, which are not stored yet and all have a `debounce_key`: the run that stands for it.

    That is the one which holds the key and has not begun: it becomes as the last of them would be, and begins when
    that would. Where none does, the last of them itself, to be stored by the caller in the same transaction.

    The key's row is locked: of two who come at once the second joins the first. A driver that begins the run at this
    moment either finds itself fenced off, or has committed: then there is nothing to join, and a new run it is.
    """
    last = {str(run.debounce_key): run for run in runs}
    DebounceKey.objects.bulk_create(
        [
            DebounceKey(workflow_id=workflow_id, key=key, run_id=last[key].id, expires_at=_until(last[key]))
            for key in sorted(last)
        ],
        ignore_conflicts=True,
    )
    rows = DebounceKey.objects.select_for_update().filter(workflow_id=workflow_id, key__in=sorted(last))
    standing = {row.key: _standing(row, last[row.key], now) for row in rows.order_by("key")}
    return {run.id: standing[str(run.debounce_key)] for run in runs}


def purge(*, now: datetime, limit: int) -> int:
    """Delete at most `limit` keys whose runs have long begun; says how many."""
    expired = DebounceKey.objects.filter(expires_at__lte=now).order_by("expires_at")
    ids = list(expired.values_list("pk", flat=True)[:limit])
    deleted, _ = DebounceKey.objects.filter(pk__in=ids, expires_at__lte=now).delete()
    return deleted


def _standing(row: DebounceKey, run: Run, now: datetime) -> uuid.UUID:
    joined = row.run_id != run.id and transitions.become(row.run_id, run, now)
    if not joined:
        row.run_id = run.id
    DebounceKey.objects.filter(pk=row.pk).update(run_id=row.run_id, expires_at=_until(run))
    return row.run_id


def _until(run: Run) -> datetime:
    return (run.run_at or run.created_at) + _KEPT
