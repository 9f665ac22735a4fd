"""Telling what nobody would see: due times that were missed, schedules that were put aside. Each once.

Who fires a schedule tells of what it finds missed. Should nobody fire at all, others notice: a chore of every worker
process, in a thread of its own, looks for schedules that are overdue. Whoever is first moves `missed_told_until`, in
the transaction that publishes: what was due until then is told of.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Q

from flowforge.core.clock import isoformat
from flowforge.core.json import Json
from flowforge.events.outbound import SCHEDULE_MISSED, SCHEDULE_QUARANTINED
from flowforge.events.services import record_event
from flowforge.kernel.schedules import Verdict
from flowforge.kernel.schedules.policy import MERGED, MISSED, TOO_OLD
from flowforge.schedules import selectors
from flowforge.schedules.models import Schedule

OVERDUE_AFTER: Final = timedelta(seconds=60)  # one whose moment has passed so long ago is looked at by nobody
LIMIT: Final = 500
_MISSED: Final = frozenset({MISSED[1], TOO_OLD[1], MERGED[1]})


def run_once(now: datetime, limit: int = LIMIT) -> int:
    """Tell of schedules that are due and that nobody fires; says how many were told of here."""
    overdue = selectors.overdue_schedules(now - OVERDUE_AFTER, limit)
    return sum(_tell_overdue(schedule, now) for schedule in overdue)


def tell_missed(schedule: Schedule, verdicts: Sequence[Verdict], now: datetime) -> None:
    """Of what a tick finds missed, if anything: once for all that was missed together. The row's lock is the caller's,
    who saves it."""
    first = next((found.due_at for found in verdicts if found.reason in _MISSED), None)
    if first is None:
        return
    if schedule.missed_told_until is None or first > schedule.missed_told_until:
        _publish(SCHEDULE_MISSED, schedule, due_at=isoformat(first), catch_up=schedule.catch_up)
    schedule.missed_told_until = now


def tell_quarantined(schedule: Schedule) -> None:
    """It was put aside: within the transaction that does so."""
    error = schedule.error or {}
    _publish(SCHEDULE_QUARANTINED, schedule, code=error.get("code"), message=error.get("message"))


@transaction.atomic
def _tell_overdue(schedule: Schedule, now: datetime) -> bool:
    untold = Q(missed_told_until=None) | Q(missed_told_until__lt=schedule.next_due_at)
    same = Schedule.objects.filter(untold, pk=schedule.pk, next_due_at=schedule.next_due_at)
    if not same.update(missed_told_until=now):
        return False
    _publish(SCHEDULE_MISSED, schedule, due_at=isoformat(schedule.next_due_at), catch_up=schedule.catch_up)
    return True


def _publish(event: str, schedule: Schedule, **more: Json) -> None:
    payload: dict[str, Json] = {
        "schedule_id": str(schedule.pk),
        "project_id": str(schedule.project_id),
        "workflow_id": str(schedule.workflow_id),
        "name": schedule.name,
        **more,
    }
    record_event(project_id=schedule.project_id, name=event, payload=payload, source=f"schedule:{schedule.pk}")
