"""Why a schedule does not move, or when it will: what its firing would find, were it to happen now."""

from collections.abc import Iterator
from datetime import datetime
from itertools import chain

from flowforge.core.clock import isoformat
from flowforge.core.json import Json
from flowforge.kernel.schedules import plan
from flowforge.operating.constants import ENGINE_ID
from flowforge.operating.selectors import engine_paused, holds_of
from flowforge.projects.models import Project
from flowforge.schedules import selectors
from flowforge.schedules.models import Schedule
from flowforge.schedules.recurrences import policy_of, recurrence_of
from workflows.models import Workflow

Cause = dict[str, Json]


def explain(schedule: Schedule, now: datetime) -> dict[str, Json]:
    """`{"summary", "causes": [{code, message, holder, since, position, unblock}]}`. With its workflow and project."""
    found = (
        _own(schedule),
        _of_workflow(schedule),
        _of_holds(schedule),
        _of_runs(schedule, now),
        _of_time(schedule, now),
    )
    causes = list(chain(*found))
    return {"summary": causes[0]["message"] if causes else "It is over: it is due no more.", "causes": causes}


def _own(schedule: Schedule) -> Iterator[Cause]:
    resume = f"POST /v1/schedules/{schedule.pk}:resume"
    error = schedule.error if isinstance(schedule.error, dict) else {}
    if schedule.quarantined_at is not None:
        said = f"{error.get('code')}: {error.get('message')}"
        message = f"It was put aside after {schedule.error_count} errors in a row. {said}"
        correct = f"PATCH /v1/schedules/{schedule.pk}"
        yield _cause("paused", message, ("schedule", schedule.pk), schedule.quarantined_at, unblock=[correct, resume])
    elif not schedule.enabled:
        yield _cause("paused", "The schedule is paused.", ("schedule", schedule.pk), None, unblock=[resume])


def _of_workflow(schedule: Schedule) -> Iterator[Cause]:
    workflow = schedule.workflow
    if workflow.project.status == Project.Status.ARCHIVED:
        path = f"PATCH /v1/projects/{workflow.project_id}"
        yield _cause("paused", "The project is archived.", ("project", workflow.project_id), None, unblock=[path])
    elif workflow.status != Workflow.Status.ACTIVE:
        message = f"The workflow is {workflow.status}: its due times get no runs."
        path = f"PATCH /v1/workflows/{workflow.pk}"
        yield _cause("paused", message, ("workflow", workflow.pk), None, unblock=[path])


def _of_holds(schedule: Schedule) -> Iterator[Cause]:
    """Its due times have their runs all the same, which wait until they are let go."""
    workflow = schedule.workflow
    for scope_id, hold in holds_of([ENGINE_ID, workflow.project_id, workflow.pk]).items():
        message = f"The {hold.scope} is {hold.status}: runs of due times are kept. {hold.reason}"
        thaw = "manage.py engine thaw" if scope_id == ENGINE_ID else f"POST /v1/{hold.scope}s/{scope_id}:thaw"
        yield _cause("frozen", message.strip(), (hold.scope, scope_id), hold.since, unblock=[thaw])
    if engine_paused():
        message = "The engine is paused for maintenance: runs of due times are kept."
        yield _cause("engine_paused", message, ("engine", "maintenance"), None, unblock=["manage.py engine resume"])


def _of_runs(schedule: Schedule, now: datetime) -> Iterator[Cause]:
    """The very plan that a tick at this moment would follow."""
    standing = selectors.standing_of(schedule)
    if not standing.live or schedule.overlap not in ("skip", "queue"):
        return
    run = selectors.live_runs_of(schedule.pk).order_by("id").first()
    if run is None:
        return
    try:
        recurrence, policy = recurrence_of(schedule), policy_of(schedule)
    except ValueError:
        return
    planned = plan(
        recurrence, policy, cursor=schedule.next_due_at or now, now=schedule.next_due_at or now, standing=standing
    )
    would = next((found.decision for found in planned.verdicts), "skipped")
    message = f"A run of it has not ended: while that lives, a due time is {would}."
    cancel = f"POST /v1/runs/{run.pk}:cancel"
    yield _cause(
        "concurrency_limit",
        message,
        ("run", run.pk),
        run.created_at,
        position=standing.queued or None,
        unblock=[cancel],
    )


def _of_time(schedule: Schedule, now: datetime) -> Iterator[Cause]:
    if schedule.next_run_at is None:
        return
    trigger = f"POST /v1/schedules/{schedule.pk}:trigger"
    at = isoformat(schedule.next_run_at)
    message = f"It waits until {at}." if schedule.next_run_at > now else f"It has been due since {at}."
    yield _cause("waiting_until", message, ("schedule", schedule.pk), schedule.last_run_at, unblock=[trigger])


def _cause(
    code: str,
    message: str,
    holder: tuple[str, object],
    since: datetime | None,
    *,
    position: int | None = None,
    unblock: list[Json],
) -> Cause:
    return {
        "code": code,
        "message": message,
        "holder": {"type": holder[0], "id": str(holder[1])},
        "since": isoformat(since),
        "position": position,
        "unblock": unblock,
    }
