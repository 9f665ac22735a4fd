"""A tick: decide what is due, start its runs, write the ledger, move the cursor. All of it in one transaction, or none.

Any number of processes may fire the same schedule at the same moment. The row's lock lets one of them through, and
the others find the cursor moved. Should a lock ever fail, two unique keys hold: a due time's decision
(`decision_once`) and its run (`run_start_once`).
"""

import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError, transaction

from flowforge.core.clock import isoformat
from flowforge.core.errors import FlowForgeError
from flowforge.core.failpoints import failpoint
from flowforge.kernel.schedules import Plan, Recurrence, Verdict, plan
from flowforge.kernel.schedules.policy import PACE
from flowforge.schedules import selectors
from flowforge.schedules.constants import ERROR_BACKOFF, MAX_ERRORS, TRIGGER
from flowforge.schedules.models import Schedule
from flowforge.schedules.recurrences import policy_of, recurrence_of
from flowforge.schedules.services import bells, notices, starting
from flowforge.schedules.services.starting import Refused, Start, StartResult
from runs.services.intents import ask_to_cancel
from workflows.models import TriggerDecision
from workflows.services.decisions import Decision, Trigger, record_decisions

log = logging.getLogger("flowforge.schedules")


@dataclass(frozen=True, slots=True)
class Fired:
    """What one tick has done."""

    started: int = 0
    decided: int = 0
    more: bool = False  # the next due times wait already


def fire(schedule_id: uuid.UUID, now: datetime) -> Fired:
    """Look at one schedule; nothing happens if it isn't due, or if somebody else is at it.

    Whatever is wrong with it is noted in its row, and hinders no other. Raises OperationalError and InterfaceError
    alone: a fault of the database is no schedule's.
    """
    try:
        with transaction.atomic():
            schedule = _lock_due(schedule_id, now)
            return Fired() if schedule is None else _tick(schedule, now)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:  # noqa: BLE001  a row that nobody can read must not stop the others
        _note_failure(schedule_id, error, now)
        return Fired()


def _lock_due(schedule_id: uuid.UUID, now: datetime) -> Schedule | None:
    due = Schedule.objects.select_related("workflow__project").filter(pk=schedule_id, next_run_at__lte=now)
    return due.select_for_update(of=("self",), skip_locked=True).first()


def _tick(schedule: Schedule, now: datetime) -> Fired:
    if schedule.next_due_at is None:
        _rest(schedule)
        return Fired()
    recurrence, policy = recurrence_of(schedule), policy_of(schedule)
    standing = selectors.standing_of(schedule)
    planned = plan(recurrence, policy, cursor=schedule.next_due_at, now=now, standing=standing)
    verdicts = _undecided(schedule, planned.verdicts)
    live = list(selectors.live_runs_of(schedule.pk).values_list("id", flat=True)) if standing.live else []
    if planned.cancels:
        ask_to_cancel(live)
    results = starting.start_dues(schedule, [Start(due_at=found.due_at) for found in verdicts if found.starts])
    decisions = _decisions(verdicts, results, live[-1] if live else None)
    record_decisions(trigger=trigger_of(schedule), decisions=decisions, now=now)
    notices.tell_missed(schedule, verdicts, now)
    failpoint("schedule.before_commit")
    _move_on(schedule, recurrence, planned, results, now)
    started = sum(found.run_id is not None for found in results.values())
    return Fired(started=started, decided=len(decisions), more=planned.more and not results)


def trigger_of(schedule: Schedule) -> Trigger:
    """Whose ledger it is."""
    return Trigger(project_id=schedule.project_id, type=TRIGGER, id=str(schedule.pk))


def _undecided(schedule: Schedule, verdicts: Sequence[Verdict]) -> Sequence[Verdict]:
    """Without the due times that were decided about before: a clock was set back, or a backfill was faster."""
    known = TriggerDecision.objects.filter(
        trigger_type=TRIGGER, trigger_id=str(schedule.pk), due_at__in=[found.due_at for found in verdicts]
    )
    decided = set(known.values_list("due_at", flat=True))
    return [found for found in verdicts if found.due_at not in decided]


def _decisions(
    verdicts: Sequence[Verdict], results: Mapping[datetime, StartResult], met: uuid.UUID | None
) -> list[Decision]:
    """A row for each verdict. What was merged into another due time names that one's run, what met a run that one."""
    first = next((found.run_id for found in results.values() if found.run_id is not None), None)
    return [_decision(found, results.get(found.due_at), met or first, first) for found in verdicts]


def _decision(
    verdict: Verdict, result: StartResult | None, met: uuid.UUID | None, merged: uuid.UUID | None
) -> Decision:
    decision, reason, detail = verdict.decision, verdict.reason, ""
    run_id = merged if decision == "coalesced" else met if decision == "skipped" and reason == "overlap" else None
    if result is not None:
        run_id = result.run_id
        if isinstance(result.refused, Refused):
            decision, reason, detail = result.refused.decision, result.refused.reason, result.refused.detail
    return Decision(
        decision=decision, reason=reason, detail=detail, due_at=verdict.due_at, until_at=verdict.until, run_id=run_id
    )


def _move_on(
    schedule: Schedule, recurrence: Recurrence, planned: Plan, results: Mapping[datetime, StartResult], now: datetime
) -> None:
    """Write where the schedule stands now."""
    rested, due_at = schedule.next_run_at is None, planned.next_due_at
    schedule.next_due_at = due_at
    pause = PACE if planned.more and results else timedelta(0)
    schedule.next_run_at = None if due_at is None else max(recurrence.fires_at(due_at), now + pause)
    started = [found for found, result in results.items() if result.run_id is not None]
    if started:
        schedule.last_due_at, schedule.last_run_at = max(started), now
        schedule.error_count, schedule.error = 0, None
    faults = [result.refused for result in results.values() if result.refused is not None and result.refused.is_fault]
    for fault in faults:
        _count_error(schedule, fault.reason, fault.detail, now)
    _save(schedule)
    if rested is not (schedule.next_run_at is None):
        bells.switch(schedule)


def _count_error(schedule: Schedule, code: str, message: str, now: datetime) -> None:
    """The third in a row puts the schedule aside: it is quarantined until a person resumes it."""
    schedule.error_count += 1
    schedule.error = {"code": code, "message": message[:500], "at": isoformat(now)}
    if schedule.error_count >= MAX_ERRORS and schedule.quarantined_at is None:
        schedule.quarantined_at, schedule.next_run_at = now, None
        notices.tell_quarantined(schedule)


def _rest(schedule: Schedule) -> None:
    schedule.next_run_at = None
    _save(schedule)
    bells.switch(schedule)


def _save(schedule: Schedule) -> None:
    schedule.save(
        update_fields=[
            *("next_due_at", "next_run_at", "last_due_at", "last_run_at"),
            *("error_count", "error", "quarantined_at", "missed_told_until"),
        ]
    )


def _note_failure(schedule_id: uuid.UUID, error: Exception, now: datetime) -> None:
    """In a transaction of its own: the tick's was rolled back. The due time stays, and is tried again."""
    log.warning("schedule %s: %s: %s", schedule_id, type(error).__name__, error)
    with transaction.atomic():
        schedule = Schedule.objects.select_for_update().filter(pk=schedule_id, next_run_at__isnull=False).first()
        if schedule is None:
            return
        schedule.next_run_at = now + ERROR_BACKOFF
        if not isinstance(error, FlowForgeError):
            _count_error(schedule, "unreadable", str(error), now)
        elif not error.retryable:
            _count_error(schedule, error.code, str(error), now)
        _save(schedule)
        if schedule.quarantined_at is not None:
            bells.switch(schedule)
            put_aside = Decision(decision="rejected", reason="quarantined", detail=str(error))
            record_decisions(trigger=trigger_of(schedule), decisions=[put_aside], now=now)
