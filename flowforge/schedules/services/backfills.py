"""Backfills: the due times of a stretch of the past get their runs, a few at a time, until all have one."""

import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, takewhile

from django.db import transaction
from django.db.models import F

from flowforge.core import clock
from flowforge.core.errors import Conflict, Fault, InvalidBody, NotFound
from flowforge.kernel.schedules import Recurrence
from flowforge.schedules import selectors
from flowforge.schedules.constants import BACKFILL_AT_ONCE, MAX_BACKFILL, MAX_LIVE_BACKFILLS, TRIGGER
from flowforge.schedules.models import Backfill, Schedule
from flowforge.schedules.recurrences import recurrence_of
from flowforge.schedules.services.firing import trigger_of
from flowforge.schedules.services.starting import Start, StartResult, start_dues
from workflows.models import TriggerDecision, Workflow
from workflows.services.decisions import Decision, record_decisions

log = logging.getLogger("flowforge.schedules")


@dataclass(frozen=True, slots=True)
class Span:
    """From `begin` (inclusive) to `end` (exclusive)."""

    begin: datetime
    end: datetime


def start_backfill(*, schedule_id: uuid.UUID, span: Span, actor: str) -> Backfill:
    """Ask for the runs of a schedule's due times in a span of the past.

    Raises InvalidBody (422) for one that is empty, too long or not over yet, Conflict (409) where too many go on.
    """
    now = clock.now()
    with transaction.atomic():
        schedule = Schedule.objects.select_for_update(of=("self",)).filter(pk=schedule_id).first()
        if schedule is None:
            raise NotFound
        dues = _checked(recurrence_of(schedule), span, now)
        if Backfill.objects.filter(schedule=schedule, finished_at=None).count() >= MAX_LIVE_BACKFILLS:
            raise Conflict(detail=f"{MAX_LIVE_BACKFILLS} backfills of this schedule are going on already.")
        return Backfill.objects.create(
            schedule=schedule,
            from_at=span.begin,
            to_at=span.end,
            next_due_at=dues[0],
            total=len(dues),
            created_by=actor,
        )


@transaction.atomic
def cancel_backfill(*, schedule_id: uuid.UUID, backfill_id: uuid.UUID) -> Backfill:
    """Start no more of its runs; those that live go on. Raises NotFound, Conflict (409) if it is over."""
    found = selectors.get_backfill(schedule_id, backfill_id)
    cancelled = _end(found.pk, Backfill.Status.CANCELLED, clock.now())
    found.refresh_from_db()
    if not cancelled:
        raise Conflict(detail=f"The backfill is {found.status} already.")
    return found


def go_on(backfill_id: uuid.UUID, now: datetime) -> int:
    """Start the next runs of a backfill, as many as may live at a time; says how many due times were done with.

    While the workflow is paused it waits.
    """
    found = Backfill.objects.select_related("schedule__workflow").filter(pk=backfill_id, finished_at=None).first()
    if found is None or found.schedule.workflow.status == Workflow.Status.PAUSED or _room(found, found.schedule) <= 0:
        return 0  # without a lock: who has nothing to do must not write
    try:
        return _go_on(backfill_id, now)
    except ValueError as error:
        log.warning("backfill %s: %s", backfill_id, error)
        return _end(backfill_id, Backfill.Status.FAILED, now)


@transaction.atomic
def _go_on(backfill_id: uuid.UUID, now: datetime) -> int:
    """The schedule's row is locked first, as ticks do: of a tick and a backfill with one due time, one starts it."""
    locked = Schedule.objects.select_related("workflow__project").filter(backfills=backfill_id)
    schedule = locked.select_for_update(of=("self",), skip_locked=True).first()
    backfill = Backfill.objects.select_for_update().filter(pk=backfill_id, finished_at=None).first()
    if schedule is None or backfill is None or backfill.next_due_at is None:
        return 0
    room = _room(backfill, schedule)
    if room <= 0:
        return 0
    found = list(islice(_dues(recurrence_of(schedule), backfill.next_due_at, backfill.to_at), room + 1))
    results = start_dues(schedule, [_start(backfill, due_at) for due_at in found[:room]], actor=_actor(backfill))
    _tell(schedule, results, now)
    _move_on(backfill, found[room] if len(found) > room else None, results, now)
    return len(results)


def _room(backfill: Backfill, schedule: Schedule) -> int:
    """How many runs may begin."""
    at_once = BACKFILL_AT_ONCE if schedule.overlap == "allow" else 1
    return at_once - selectors.live_runs_of(schedule.pk, _actor(backfill)).count()


def _end(backfill_id: uuid.UUID, status: Backfill.Status, now: datetime) -> int:
    return Backfill.objects.filter(pk=backfill_id, finished_at=None).update(
        status=status, finished_at=now, next_due_at=None
    )


def _checked(recurrence: Recurrence, span: Span, now: datetime) -> list[datetime]:
    """The due times of a span. Raises InvalidBody."""
    if span.begin >= span.end:
        raise _invalid("/to", "before_from", "`to` is later than `from`.")
    if span.end > now:
        raise _invalid("/to", "in_future", "A backfill is of the past: `to` is not later than now.")
    dues = list(islice(_dues(recurrence, span.begin, span.end), MAX_BACKFILL + 1))
    if not dues:
        raise _invalid("/from", "empty", "The schedule was never due in that time.")
    if len(dues) > MAX_BACKFILL:
        raise _invalid("/to", "too_many", f"That is more than {MAX_BACKFILL:,} due times: take it in parts.")
    return dues


def _invalid(pointer: str, code: str, detail: str) -> InvalidBody:
    return InvalidBody(detail=detail, faults=[Fault(pointer=pointer, code=code, detail=detail)])


def _dues(recurrence: Recurrence, begin: datetime, end: datetime) -> Iterator[datetime]:
    return (due.at for due in takewhile(lambda due: due.at < end, recurrence.dues_from(begin)))


def _actor(backfill: Backfill) -> str:
    return f"backfill:{backfill.pk}"


def _start(backfill: Backfill, due_at: datetime) -> Start:
    return Start(due_at=due_at, metadata={"backfill_id": str(backfill.pk)})


def _tell(schedule: Schedule, results: dict[datetime, StartResult], now: datetime) -> None:
    """A due time has one row: the one that said it was skipped now says that it has a run."""
    for due_at, result in results.items():
        if not result.created:
            continue
        row = TriggerDecision.objects.filter(trigger_type=TRIGGER, trigger_id=str(schedule.pk), due_at=due_at).first()
        if row is None:
            decision = Decision(decision="late", reason="backfill", due_at=due_at, run_id=result.run_id)
            record_decisions(trigger=trigger_of(schedule), decisions=[decision], now=now)
        else:
            detail = f"It was {row.decision} before: {row.reason}."
            TriggerDecision.objects.filter(pk=row.pk).update(
                decision="late", reason="backfill", detail=detail, run_id=result.run_id
            )


def _move_on(
    backfill: Backfill, next_due_at: datetime | None, results: dict[datetime, StartResult], now: datetime
) -> None:
    started = sum(found.created for found in results.values())
    rejected = sum(found.refused is not None for found in results.values())
    over = {"status": Backfill.Status.COMPLETED, "finished_at": now} if next_due_at is None else {}
    Backfill.objects.filter(pk=backfill.pk, finished_at=None).update(
        next_due_at=next_due_at,
        started=F("started") + started,
        rejected=F("rejected") + rejected,
        skipped=F("skipped") + len(results) - started - rejected,
        **over,
    )
