"""The only writer of status beside the engine's commit: for runs that have ended, and for those that have not begun.

Nobody holds the lease of either. Each function is called within a transaction that holds the run's row locked; each
update is guarded all the same, and its row count checked.
"""

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.db.models import Case, F, Q, Value, When

from flowforge.core.errors import Conflict
from flowforge.events.schemas import RUN_RETRIED, STEP_COMPLETED
from flowforge.kernel.definition import Node
from runs.models import Run, RunEvent, StepRun
from runs.telling import tell_of

RETRYABLE = ("failed", "cancelled")
REPLAYED = "replayed"  # reason of a step.completed that another run's step has earned
_CHUNK = 500  # rows a statement

# A step to be decided anew has a row and no beginning: what it had is in the history, its id and its attempts stay.
_NOT_BEGUN: Mapping[str, Any] = {
    "status": "pending",
    "available_at": None,
    "lease_token": F("lease_token") + 1,  # whatever a worker of the attempt before still writes is void
    "lease_expires_at": None,
    "lost_count": 0,
    "worker": "",
    "items": None,
    "inputs": None,
    "output": None,
    "error": None,
    "branch": None,
    "sanitized": False,
    "waits_for": "",
    "then": None,
    "resolution": None,
    "started_at": None,
    "finished_at": None,
    "deadline_at": None,
}


def retry(
    run: Run,
    nodes: Sequence[Node],
    statuses: Mapping[str, str],
    *,
    timeout_seconds: float | None,
    limited: bool,
    actor: str,
    now: datetime,
) -> None:
    """Make a run that has failed or was cancelled go on as its next attempt, with the steps of `nodes` to do anew.

    `statuses`: node -> how its step ended, of those that have a row. `limited`: it has to find a place first, and
    waits until it has. Raises Conflict if the run is not what was read:
    someone else has retried it.
    """
    reset = _reset_steps(run.id, [node for node in nodes if node.id in statuses])
    again = {node.id for node in nodes}
    kept = Counter(status for node_id, status in statuses.items() if node_id not in again)
    status = "waiting" if limited else "running"
    changed = Run.objects.filter(id=run.id, status__in=RETRYABLE, attempt=run.attempt).update(
        status=status,
        status_reason=None,
        attempt=F("attempt") + 1,
        outputs=None,
        error=None,
        failure_id=None,
        started_at=run.started_at or now,
        finished_at=None,
        deadline_at=None if timeout_seconds is None else now + timedelta(seconds=timeout_seconds),
        steps_completed=kept["completed"],
        steps_failed=kept["failed"],
        steps_skipped=kept["skipped"],
        cancel_requested_at=None,
        cancel_reason="",
        key_held_since=None,
        pause_requested_at=None,
        event_seq=F("event_seq") + 1,
        pokes=F("pokes") + 1,
        lease_expires_at=None,
        lease_owner="",
        wake_at=now,
    )
    if changed != 1:
        raise Conflict(detail="The run has been retried already.")
    data = {"status": status, "attempt": run.attempt + 1, "step_count": reset, "by": actor}
    event = RunEvent.objects.create(run_id=run.id, seq=run.event_seq + 1, at=now, event=RUN_RETRIED, data=data)
    tell_of(run.project_id, [run], [event])


def take_over(run: Run, steps: Iterable[StepRun], *, now: datetime) -> int:
    """Give a run that has not begun completed steps of another, each told by an event; says how many.

    `steps` hold `id, node_id, position, max_attempts, priority, queue, inputs, output, branch, sanitized`. They are
    read and written in parts, as their outputs may be large.
    """
    total = 0
    remaining = iter(steps)
    while part := list(islice(remaining, _CHUNK)):
        first_seq = run.event_seq + total + 1
        for step in part:
            step.run_id, step.index, step.status, step.finished_at = run.id, -1, "completed", now
        StepRun.objects.bulk_create(part)
        RunEvent.objects.bulk_create(_replayed_event(step, first_seq + place, now) for place, step in enumerate(part))
        total += len(part)
    changed = Run.objects.filter(id=run.id, status="pending", event_seq=run.event_seq).update(
        event_seq=F("event_seq") + total, steps_completed=total
    )
    if changed != 1:
        raise Conflict(detail="The run has begun already.")
    return total


def _reset_steps(run_id: uuid.UUID, nodes: Sequence[Node]) -> int:
    """Take the steps of these nodes back to where they have not begun, with as many attempts more as the first time.

    Each has a row that has not completed. A `map` goes over its list anew: the items that it had are in the history.
    Says how many rows it took back. Raises Conflict if a step is no longer what was read.
    """
    again = StepRun.objects.filter(run_id=run_id, index=-1).exclude(status="completed")
    maps = [node.id for node in nodes if node.type == "map"]
    StepRun.objects.filter(run_id=run_id, index__gte=0, node_id__in=maps).delete()
    grants: dict[int, list[str]] = {}
    for node in nodes:
        grants.setdefault(node.retry.max_attempts, []).append(node.id)
    total = 0
    for granted, node_ids in grants.items():
        for start in range(0, len(node_ids), _CHUNK):
            chunk = node_ids[start : start + _CHUNK]
            reset = again.filter(node_id__in=chunk).update(max_attempts=F("attempt") + granted, **_NOT_BEGUN)
            if reset < len(chunk):
                raise Conflict(detail="The run's steps are changing.")
            total += reset
    return total


def _replayed_event(step: StepRun, seq: int, now: datetime) -> RunEvent:
    data: dict[str, Any] = {"node_id": step.node_id, "attempt": 0, "reason": REPLAYED}
    if step.branch is not None:
        data["branch"] = step.branch
    return RunEvent(run_id=step.run_id, seq=seq, at=now, event=STEP_COMPLETED, step_id=step.id, data=data)


def start_now(run_id: uuid.UUID, now: datetime, *, priority: int) -> bool:
    """Let a run that waits for its `run_at`, or in a queue, be looked at, with this priority; False if it is none.

    A driver that holds it has read the old moment, and nothing has begun: it is fenced off, lest it goes back to sleep.
    """
    waits = Q(run_at__gt=now) | Q(queued_in__isnull=False)
    return (
        Run.objects.filter(waits, id=run_id, status="pending").update(
            run_at=Case(When(run_at__gt=now, then=Value(now)), default=F("run_at")),
            priority=priority,
            wake_at=now,
            pokes=F("pokes") + 1,
            lease_token=F("lease_token") + 1,
            lease_expires_at=None,
            lease_owner="",
        )
        == 1
    )


def become(run_id: uuid.UUID, other: Run, now: datetime) -> bool:
    """Let a run that has not begun be what another, which is not stored, would be, and begin when that would; False
    if it has begun, or is not to. A driver that holds it has read what it was: it is fenced off.
    """
    in_time = Q(expires_at__isnull=True) | Q(expires_at__gt=now)
    waits = Run.objects.filter(in_time, id=run_id, status="pending", started_at=None)
    changed = waits.filter(cancel_requested_at=None, pause_requested_at=None).update(
        version_id=other.version_id,
        workflow_version=other.workflow_version,
        steps_total=other.steps_total,
        inputs=other.inputs,
        metadata=other.metadata,
        priority=other.priority,
        concurrency_key=other.concurrency_key,
        rate_key=other.rate_key,
        run_at=other.run_at,
        wake_at=other.wake_at,
        status_reason=None,
        key_held_since=None,
        queued_in=None,
        queued_at=None,
        pokes=F("pokes") + 1,
        lease_token=F("lease_token") + 1,
        lease_expires_at=None,
        lease_owner="",
    )
    return changed == 1
