"""`overlap: queue`: due times that met a run get theirs, one after the other, once that has ended."""

import uuid
from datetime import datetime

from django.db import transaction

from flowforge.schedules import selectors
from flowforge.schedules.models import Schedule
from flowforge.schedules.services.starting import Start, StartResult, start_dues
from workflows.models import TriggerDecision
from workflows.services.decisions import settle_waiting


@transaction.atomic
def release_next(schedule_id: uuid.UUID, now: datetime) -> bool:
    """Start the run of the oldest due time that waits, if no run of the schedule lives; False if nothing was done.

    The row's lock makes it safe for any number of processes. A schedule that is paused or put aside lets nothing go.
    """
    waiting = selectors.waiting_of(schedule_id)
    locked = Schedule.objects.select_related("workflow__project").filter(pk=schedule_id)
    schedule = locked.select_for_update(of=("self",), skip_locked=True).first()
    if schedule is None:
        return _forget_orphans(schedule_id) > 0
    oldest = waiting.first()
    if oldest is None or oldest.due_at is None or selectors.live_runs_of(schedule_id).exists():
        return False
    if not schedule.enabled or schedule.quarantined_at is not None:
        return False
    result = start_dues(schedule, [Start(due_at=oldest.due_at)])[oldest.due_at]
    if not _settle(oldest, result):
        return False
    if result.run_id is not None:
        Schedule.objects.filter(pk=schedule_id).update(last_run_at=now)
    return True


def _settle(row: TriggerDecision, result: StartResult) -> bool:
    refused = result.refused
    if refused is None:
        return settle_waiting(decision_id=row.pk, run_id=result.run_id, reason=row.reason, detail="Started later.")
    return settle_waiting(
        decision_id=row.pk, run_id=None, decision=refused.decision, reason=refused.reason, detail=refused.detail
    )


def _forget_orphans(schedule_id: uuid.UUID) -> int:
    """The schedule is gone, or locked by somebody who is at it: only then nothing is said."""
    if Schedule.objects.filter(pk=schedule_id).exists():
        return 0
    return sum(
        settle_waiting(decision_id=row.pk, run_id=None, decision="skipped", reason="schedule_deleted")
        for row in selectors.waiting_of(schedule_id)
    )
