"""`on_conflict: reject`: a run is not accepted while its concurrency key has no place for it."""

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from django.db.models import Count, Q, QuerySet

from flowforge.core.errors import Conflict
from flowforge.kernel.definition import Concurrency
from runs.models import Run
from workflows.models import Workflow


class ConcurrencyConflict(Conflict):
    """Runs with the same key have all the places."""

    code = "concurrency_conflict"


def refused(workflow_id: uuid.UUID, rule: Concurrency, drafts: Sequence[Run], now: datetime) -> dict[uuid.UUID, Run]:
    """Of these runs, which are not stored yet, those for which there is no place: their id -> a run that has one.

    Within the transaction that stores the others. It locks the workflow, so that of two who come at once one finds
    the other. A run that is to begin later is accepted: when its time has come, it waits for a place.
    """
    due = [run for run in drafts if run.run_at is None or run.run_at <= now]
    if not due:
        return {}
    Workflow.objects.select_for_update(no_key=True).filter(id=workflow_id).values_list("id").get()
    wanted = sorted({run.concurrency_key or "" for run in due})
    taken = Counter(_counts(_live(workflow_id, now), wanted))
    holders: dict[str, Run] = {}
    found = {}
    for run in due:
        key = run.concurrency_key or ""
        if taken[key] >= rule.limit:
            found[run.id] = holders.get(key) or _oldest(workflow_id, key, now)
        else:
            holders.setdefault(key, run)
        taken[key] += run.id not in found
    return found


def conflict(holder: Run) -> ConcurrencyConflict:
    """What is said of a run that was refused."""
    detail = f"The run {holder.id} has the place of the concurrency key {holder.concurrency_key!r}."
    return ConcurrencyConflict(detail=detail, extra={"holder": {"type": "run", "id": str(holder.id)}})


def _live(workflow_id: uuid.UUID, now: datetime) -> QuerySet[Run]:
    """What has a place or is going to: all that is live, but what is to begin later."""
    later = Q(started_at__isnull=True, run_at__gt=now)
    return Run.objects.filter(~later, workflow_id=workflow_id, finished_at__isnull=True).order_by()


def _counts(runs: QuerySet[Run], keys: Iterable[str]) -> Mapping[str, int]:
    found = runs.filter(concurrency_key__in=keys).values_list("concurrency_key").annotate(count=Count("id"))
    return {key or "": count for key, count in found}


def _oldest(workflow_id: uuid.UUID, key: str, now: datetime) -> Run:
    return _live(workflow_id, now).filter(concurrency_key=key).order_by("id")[0]
