"""Creating and changing schedules. What decides due times is checked as a whole, and moves the cursor."""

import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from flowforge.api.caller import Caller
from flowforge.core import clock
from flowforge.core.errors import Conflict, NotFound
from flowforge.projects.selectors import require_active
from flowforge.schedules.models import Schedule
from flowforge.schedules.recurrences import recurrence_of
from flowforge.schedules.services import bells
from flowforge.schedules.services.checking import checked
from runs.selectors import version_id_of
from runs.services.inputs import complete_inputs
from workflows.models import Workflow

TIMING: Final = ("kind", "cron", "every", "at", "timezone", "starts_at", "ends_at", "jitter")

Precondition = Callable[[Schedule], None]
"""Called under the lock with the schedule that is about to change; raises to stop (If-Match)."""


@transaction.atomic
def create_schedule(*, workflow: Workflow, given: Mapping[str, Any], caller: Caller) -> Schedule:
    """A schedule of a workflow (loaded with its project). `given`: fields of the contract.

    Raises InvalidBody (422) with all faults, Conflict (409) for a workflow or project that is archived.
    """
    require_active(workflow.project)
    if workflow.status == Workflow.Status.ARCHIVED:
        raise Conflict(detail="The workflow is archived.")
    now = clock.now()
    schedule = Schedule(project=workflow.project, workflow=workflow, created_by=caller.actor)
    schedule.anchor_at = now.replace(microsecond=0)
    _apply(schedule, checked(given, {}, now))
    _check_inputs(schedule)
    _point_at_next(schedule, now)
    schedule.save(force_insert=True)
    bells.hang(schedule)
    return schedule


def update_schedule(
    *, schedule_id: uuid.UUID, given: Mapping[str, Any], precondition: Precondition | None = None
) -> Schedule:
    """Change what is given. What decides due times starts anew from now: nothing of before is missed or repeated.

    Raises InvalidBody (422), NotFound, Conflict (409) in an archived project, and what `precondition` raises.
    """
    with transaction.atomic():
        schedule = _lock(schedule_id, precondition)
        now = clock.now()
        changed = checked(given, _values(schedule), now)
        moved = any(getattr(schedule, name) != changed[name] for name in TIMING if name in changed)
        enabled = changed.get("enabled", schedule.enabled)
        if moved and changed.get("every", schedule.every) != schedule.every:
            schedule.anchor_at = now.replace(microsecond=0)
        switched = enabled != schedule.enabled
        _apply(schedule, changed)
        if "inputs" in given:
            _check_inputs(schedule)
        if moved or (switched and enabled):
            _lift(schedule)
        if moved or switched:
            _point_at_next(schedule, now)
        return _store(schedule, now)


def pause_schedule(*, schedule_id: uuid.UUID) -> Schedule:
    """It is due no more until it is resumed; runs that live go on. Twice changes nothing. Works on a bad row, too."""
    with transaction.atomic():
        schedule = _lock(schedule_id, None)
        if not schedule.enabled:
            return schedule
        now = clock.now()
        schedule.enabled = False
        _point_at_next(schedule, now)
        return _store(schedule, now)


def resume_schedule(*, schedule_id: uuid.UUID) -> Schedule:
    """It is due again, from now on: what it was due meanwhile is not made up for. Lifts a quarantine, too."""
    with transaction.atomic():
        schedule = _lock(schedule_id, None)
        if schedule.enabled and schedule.quarantined_at is None:
            return schedule
        now = clock.now()
        schedule.enabled = True
        _lift(schedule)
        _require_readable(schedule)
        _point_at_next(schedule, now)
        return _store(schedule, now)


@transaction.atomic
def delete_schedule(*, schedule_id: uuid.UUID, precondition: Precondition | None = None) -> None:
    """Remove it with its row of beat and its backfills. Its runs and decisions stay."""
    schedule = _lock(schedule_id, precondition, archived_too=True)
    bells.take_down(schedule)
    schedule.delete()


def _lock(schedule_id: uuid.UUID, precondition: Precondition | None, *, archived_too: bool = False) -> Schedule:
    rows = Schedule.objects.select_related("workflow", "project").filter(pk=schedule_id)
    schedule = rows.select_for_update(of=("self",)).first()
    if schedule is None:
        raise NotFound
    if not archived_too:
        require_active(schedule.project)
    if precondition is not None:
        precondition(schedule)
    return schedule


def _values(schedule: Schedule) -> dict[str, Any]:
    names = (*TIMING, "name", "inputs", "overlap", "catch_up", "catch_up_window", "enabled")
    return {name: getattr(schedule, name) for name in names}


def _apply(schedule: Schedule, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        setattr(schedule, name, value)


def _check_inputs(schedule: Schedule) -> None:
    """Against the current version's input_schema. Raises InvalidBody; stored as they were given."""
    version_id = version_id_of(schedule.workflow_id, schedule.workflow.version)
    complete_inputs(version_id=version_id, given=dict(schedule.inputs))


def _require_readable(schedule: Schedule) -> None:
    """Raises Conflict (409) for a row that would be put aside again at once."""
    try:
        recurrence_of(schedule)
    except ValueError as error:
        raise Conflict(detail=f"Correct it first: {error}.") from error


def _lift(schedule: Schedule) -> None:
    schedule.error_count, schedule.error, schedule.quarantined_at = 0, None, None


def _point_at_next(schedule: Schedule, now: datetime) -> None:
    """The cursor goes to the first due time after now; a schedule that is paused has none."""
    schedule.next_due_at = schedule.next_run_at = None
    if not schedule.enabled:
        return
    recurrence = recurrence_of(schedule)
    schedule.next_due_at = recurrence.next_after(now)
    if schedule.next_due_at is not None:
        schedule.next_run_at = recurrence.fires_at(schedule.next_due_at)


def _store(schedule: Schedule, now: datetime) -> Schedule:
    schedule.updated_at = now
    schedule.save()
    bells.hang(schedule)
    return schedule
