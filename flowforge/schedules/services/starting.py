"""Starting the runs of due times: each once, for ever, by its start key."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from flowforge.core.clock import isoformat
from flowforge.core.errors import Conflict, FlowForgeError, InvalidBody
from flowforge.core.json import Json
from flowforge.projects.models import Project
from flowforge.schedules import selectors
from flowforge.schedules.constants import TRIGGER
from flowforge.schedules.models import Schedule
from runs.services.start import Origin, StartItem, Trigger, start_runs
from workflows.models import Workflow


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """A due time that is to have its run."""

    due_at: datetime
    metadata: Mapping[str, Json] = field(default_factory=dict)  # beside what every run of a schedule has


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """Why a due time got no run: what the ledger says of it."""

    decision: str
    reason: str
    detail: str
    is_fault: bool  # of the schedule: it counts towards quarantine


@dataclass(frozen=True, kw_only=True, slots=True)
class StartResult:
    """What became of one due time: a run, its own of before or a new one, or a refusal."""

    run_id: uuid.UUID | None
    created: bool
    refused: Refused | None = None


_PAUSED: Final = Refused(
    decision="skipped", reason="workflow_paused", detail="The workflow is paused: it takes no new runs.", is_fault=False
)


def start_dues(schedule: Schedule, starts: Sequence[Start], *, actor: str = "") -> dict[datetime, StartResult]:
    """Due time -> what became of it. The schedule comes with its workflow and project, its row locked by the caller.

    A due time that has its run keeps it. Raises what concerns no due time alone and passes by itself (Unavailable).
    """
    if not starts:
        return {}
    refused = _refusal(schedule)
    if refused is not None:
        return {found.due_at: StartResult(run_id=None, created=False, refused=refused) for found in starts}
    known = selectors.runs_of_dues(schedule.pk, [found.due_at for found in starts])
    keys = {found.due_at: selectors.start_key(schedule.pk, found.due_at) for found in starts}
    new = [found for found in starts if keys[found.due_at] not in known]
    answers = dict(zip([found.due_at for found in new], _start(schedule, new, actor), strict=True))
    return {
        due_at: answers.get(due_at) or StartResult(run_id=known[key], created=False) for due_at, key in keys.items()
    }


def _refusal(schedule: Schedule) -> Refused | None:
    """Why the workflow takes no runs at all."""
    if schedule.workflow.project.status == Project.Status.ARCHIVED:
        return _archived("project_archived", "The project is archived.")
    if schedule.workflow.status == Workflow.Status.ARCHIVED:
        return _archived("workflow_archived", "The workflow is archived.")
    return _PAUSED if schedule.workflow.status == Workflow.Status.PAUSED else None


def _archived(reason: str, detail: str) -> Refused:
    return Refused(decision="rejected", reason=reason, detail=detail, is_fault=True)


def _start(schedule: Schedule, starts: Sequence[Start], actor: str) -> list[StartResult]:
    if not starts:
        return []
    items = [
        StartItem(
            inputs=schedule.inputs,
            metadata={**metadata_of(schedule, found.due_at), **found.metadata},
            start_key=selectors.start_key(schedule.pk, found.due_at),
        )
        for found in starts
    ]
    origin = Origin(actor=actor or selectors.actor_of(schedule.pk), trigger=Trigger(type=TRIGGER, id=str(schedule.pk)))
    try:
        answers = start_runs(workflow=schedule.workflow, items=items, origin=origin)
    except Conflict as error:  # between our look at the workflow and now somebody paused it
        return [_refused(error)] * len(items)
    return [
        _refused(found)
        if isinstance(found, FlowForgeError)
        else StartResult(run_id=found.run.id, created=found.created)
        for found in answers
    ]


def _refused(error: FlowForgeError) -> StartResult:
    fault = isinstance(error, InvalidBody)
    first = next(iter(error.faults), None)
    detail = str(error) if first is None else f"{first.pointer}: {first.detail}"
    refused = Refused(
        decision="rejected", reason="invalid_inputs" if fault else error.code, detail=detail, is_fault=fault
    )
    return StartResult(run_id=None, created=False, refused=refused)


def metadata_of(schedule: Schedule, due_at: datetime | None) -> dict[str, Json]:
    """What a run knows of where it comes from: expressions read it as `run.metadata.due_at`."""
    return {"schedule_id": str(schedule.pk), "schedule_name": schedule.name, "due_at": isoformat(due_at)}
