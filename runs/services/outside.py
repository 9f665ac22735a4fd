"""Ending a step from outside: a decision, an output, a forced result. Each step is ended so at most once.

The resolution is one guarded update; the engine makes it state. Raising the step's lease token voids whatever a
driver has decided on the row as it was, a timeout at the same moment, say: one of the two wins.
"""

import uuid
from collections.abc import Collection, Mapping
from typing import Any, Final, Literal

from django.db import transaction
from django.db.models import F, Q

from flowforge.api.caller import Caller
from flowforge.core import bell, clock
from flowforge.core.errors import Conflict, InvalidBody, PermissionMissing
from flowforge.core.json import Json
from flowforge.core.jsonschema import apply_defaults, compile_schema
from flowforge.kernel.states import LIVE_RUN_STATUSES
from flowforge.projects.selectors import role_of
from flowforge.steps import approval, verdicts
from flowforge.steps.base import Completed
from runs.models import Run, StepRun
from runs.present import RunRow, uuid_of
from runs.waits import begun_step

_WAITING: Final = ("waiting",)
_NOT_RUNNING: Final = ("waiting", "retrying", "pending")
_INSIDE: Final = ("time", "items", "run:")  # waits that the engine ends by itself: nobody outside has their output
MISSING: Final = object()  # no data was given: `None` may be what a form asks for


def decide_approval(
    *, run: RunRow, step_id: uuid.UUID, decision: Literal["approved", "rejected"], data: Json = MISSING, caller: Caller
) -> None:
    """Approve or reject, in the caller's name.

    Raises NotFound, PermissionMissing if it is for others to decide, InvalidBody if `data` doesn't fit the form,
    Conflict if the step is no approval, or is not waiting any more. A rejection need not fill in the form.
    """
    step = _begun_step(run, step_id)
    if step.waits_for != approval.WAITS_FOR:
        raise Conflict(detail="The step is not an approval.")
    asks = (step.then or {}).get("asks", {})
    _require_assignee(caller, uuid_of(run.project_id), asks.get("assignees") or ())
    if approval.FOUR_EYES in asks:
        _require_another(caller, step)
    _require_open(step, _WAITING)
    if data is not MISSING or decision == "approved":
        data = _fitting(asks.get("form"), {} if data is MISSING else data)
    outcome = approval.decided(decision, by=caller.name, data={} if data is MISSING else data)
    _resolve_or_refuse(step, Q(status__in=_WAITING) & _in_time(), outcome, caller)


def complete_step(*, run: RunRow, step_id: uuid.UUID, output: Json, caller: Caller) -> None:
    """Give the output of a step that waits for something outside. Raises NotFound, Conflict for any other step."""
    step = _begun_step(run, step_id)
    if step.waits_for == approval.WAITS_FOR:
        raise Conflict(detail="The step is an approval: people decide it, by :approve or :reject.")
    _require_open(step, _WAITING)
    if step.waits_for.startswith(_INSIDE):
        raise Conflict(
            detail=f"The step waits for {step.waits_for}, not for anyone outside. :override ends it all the same."
        )
    _resolve_or_refuse(step, Q(status__in=_WAITING) & _in_time(), Completed(output=output), caller)


def override_step(*, run: RunRow, step_id: uuid.UUID, output: Json, reason: str, caller: Caller) -> None:
    """Force the result of a step that waits or has yet to begin its (next) attempt; the run goes on as if it had
    given it. Raises NotFound, Conflict if it runs or has ended."""
    step = _begun_step(run, step_id)
    _require_open(step, _NOT_RUNNING)
    outcome = Completed(output=output, branch=_branch_of(step, output))
    _resolve_or_refuse(step, Q(status__in=_NOT_RUNNING), outcome, caller, reason=reason, forced=True)


def resolve_step(*, run_id: uuid.UUID, step_id: uuid.UUID, only: Q, resolution: Mapping[str, Any]) -> bool:
    """Say how a step ends, if `only` still holds for it and nobody has said it before; wakes its run.

    The run's row is locked first, as in the engine's commits: who takes both takes them in the same order.
    """
    now = clock.now()
    with transaction.atomic():
        live = Run.objects.select_for_update().filter(
            id=run_id, status__in=LIVE_RUN_STATUSES, cancel_requested_at__isnull=True
        )
        if live.values_list("id", flat=True).first() is None:
            return False
        resolved = StepRun.objects.filter(only, id=step_id, run_id=run_id, resolution__isnull=True).update(
            resolution=dict(resolution), lease_token=F("lease_token") + 1
        )
        if resolved:
            Run.objects.filter(id=run_id).update(pokes=F("pokes") + 1, wake_at=now)
            bell.drive(run_id)
    return resolved == 1


def _resolve_or_refuse(step: StepRun, only: Q, outcome: Completed, caller: Caller, **told: Json) -> None:
    resolution = verdicts.stored(outcome) | {"told": {**told, "by": caller.name, "actor": caller.actor}}
    if not resolve_step(run_id=step.run_id, step_id=step.id, only=only, resolution=resolution):
        raise Conflict(detail="The step has ended, its time is up, or its run ends: somebody was faster.")


def _begun_step(run: RunRow, step_id: uuid.UUID) -> StepRun:
    """Raises NotFound if the run has no such step; Conflict if it has, but not yet."""
    step = begun_step(run, step_id)
    if step is None:
        raise Conflict(detail="The step is not ready: what comes before it has not ended.")
    return step


def _require_open(step: StepRun, statuses: Collection[str]) -> None:
    if step.resolution is not None:
        raise Conflict(detail="The step has been decided already.")
    if step.status not in statuses:
        raise Conflict(detail=f"The step is {step.status}; it would have to be {' or '.join(statuses)}.")


def _in_time() -> Q:
    """A wait that is over by the clock is over, whether or not the engine has looked."""
    return Q(available_at__isnull=True) | Q(available_at__gt=clock.now())


def _require_assignee(caller: Caller, project_id: uuid.UUID, assignees: Collection[str]) -> None:
    """By the names and roles of this moment. A key is no person: it decides what is for everybody."""
    if not assignees:
        return
    if caller.user_id is None or not {caller.name, role_of(caller.user_id, project_id)} & set(assignees):
        raise PermissionMissing(detail="This is for others to decide: the approval has assignees.")


def _require_another(caller: Caller, step: StepRun) -> None:
    """Who started the run, as a person or by a key, has to leave the decision to somebody else."""
    if step.run.created_by == caller.actor:
        raise PermissionMissing(detail="You started this run: the approval asks for somebody else's eyes.")


def _fitting(form: Mapping[str, Any] | None, data: Json) -> Json:
    """What was filled in, with the form's defaults. Raises InvalidBody, each fault under `/data`."""
    if form is None:
        return data
    filled = apply_defaults(form, data)
    faults = compile_schema(form).faults(filled)
    if faults:
        raise InvalidBody(
            detail="The data don't fit the approval's form.", faults=[fault.under("/data") for fault in faults]
        )
    return filled


def _branch_of(step: StepRun, output: Json) -> str | None:
    """The branch of a forced result: of an approval its decision; edges of other types that can wait have none."""
    if step.waits_for != approval.WAITS_FOR or not isinstance(output, Mapping):
        return None
    decision = output.get("decision")
    return decision if decision in approval.DECISIONS else None
