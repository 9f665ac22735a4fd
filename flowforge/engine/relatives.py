"""The runs around a run: those that its steps have started, the one that waits for it, the one that its failure starts.

A child's end wakes its parent in the transaction that ends it; the parent's driver then reads how it ended. Whichever
process dies in between, the parent's `wake_at` has passed and the sweep finds it.
"""

import logging
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from flowforge.core.errors import Conflict, FlowForgeError, InvalidBody
from flowforge.core.failpoints import failpoint
from flowforge.core.json import Json
from flowforge.engine.outages import told_apart
from flowforge.engine.outcomes import storable
from flowforge.engine.store.children import EndedRun, ended_runs
from flowforge.engine.store.rows import ClaimedRun, StepRow
from flowforge.kernel.runstate import Error
from flowforge.steps import verdicts
from flowforge.steps.base import Completed, Failed, StartRefused
from flowforge.steps.workflow import WAITS_FOR_RUN
from runs.models import Run
from runs.services import Trigger
from runs.services.lineage import Start, TooDeep, start_child, start_related, wake_parent

log = logging.getLogger("flowforge.engine")

ON_FAILURE = "on_failure"  # the trigger of a run that another's failure has started


def step_key(row_id: uuid.UUID, run_attempt: int) -> str:
    """The same for every attempt of a step within one attempt of its run."""
    return f"ff-{row_id}-{run_attempt}"


# --- children -----------------------------------------------------------------------------------------------------


def call_key(row_id: uuid.UUID, run_attempt: int, number: int) -> str:
    """That of one of the runs of a step that starts several."""
    return f"{step_key(row_id, run_attempt)}-{number}"


def start_for_step(
    run: ClaimedRun,
    row: StepRow,
    workflow_id: str,
    inputs: Mapping[str, Json],
    awaited: bool,
    start_key: str | None = None,
) -> str:
    """Start the run that a step asks for. Raises StartRefused, DatabaseAway."""
    start = Start(
        parent_run_id=run.id,
        workflow_id=workflow_id,
        inputs=inputs,
        trigger=Trigger(type="workflow", id=str(row.id)),
        start_key=start_key or step_key(row.id, run.attempt),
        awaited=awaited,
    )
    try:
        with told_apart():
            child = start_child(start)
    except FlowForgeError as error:
        details: dict[str, Json] = {"errors": [fault.as_dict() for fault in error.faults]} if error.faults else {}
        code = "invalid_inputs" if isinstance(error, InvalidBody) else error.code
        # a workflow that is paused may be active again, a place that is taken free
        retryable = isinstance(error, Conflict) and not isinstance(error, TooDeep)
        raise StartRefused(code, error.detail, retryable=retryable, details=details) from None
    failpoint("child.after_start")
    return str(child)


def waits_for(row: StepRow) -> uuid.UUID | None:
    """The run whose end this step waits for."""
    if row.status != "waiting" or not row.waits_for.startswith(WAITS_FOR_RUN):
        return None
    return uuid.UUID(row.waits_for.removeprefix(WAITS_FOR_RUN))


def hear(rows: Iterable[StepRow]) -> list[StepRow]:
    """Of steps that wait for runs, those whose run has ended; how that ends them is their `resolution`."""
    waiting: dict[uuid.UUID, StepRow] = {}
    for row in rows:
        run_id = waits_for(row)
        if run_id is not None and row.resolution is None:
            waiting[run_id] = row
    found = []
    for ended in ended_runs(list(waiting)):
        row = waiting[ended.id]
        row.resolution = verdicts.stored(_outcome(row, ended))
        found.append(row)
    return found


def hear_continuing(rows: Iterable[StepRow], now: datetime) -> list[StepRow]:
    """Of steps that go on when a run has ended, those whose run has: they may go on now."""
    waiting: dict[uuid.UUID, StepRow] = {}
    for row in rows:
        later = row.status == "retrying" and row.available_at is not None and row.available_at > now
        if later and row.waits_for.startswith(WAITS_FOR_RUN):
            waiting[uuid.UUID(row.waits_for.removeprefix(WAITS_FOR_RUN))] = row
    found = [waiting[ended.id] for ended in ended_runs(list(waiting))]
    for row in found:
        row.available_at = now
    return found


def _outcome(row: StepRow, ended: EndedRun) -> Completed | Failed:
    """A child's end as its step's."""
    if ended.status == "completed":
        return storable(row, Completed(output=ended.outputs))
    error = ended.error or {}
    happened = "failed" if ended.status == "failed" else "was cancelled"
    details = {"run_id": str(ended.id), "status": ended.status, "error": error}
    message = f"The run {ended.id} {happened}: {error.get('message', '')}"
    return Failed(code="child_failed", message=message, details=details)


# --- the end of a run ---------------------------------------------------------------------------------------------


def wake_waiting(run: ClaimedRun) -> None:
    """Within the transaction that ends a run: whoever waits for it is to look."""
    if run.awaited and run.parent_run_id is not None:
        wake_parent(run.parent_run_id)


def start_on_failure(run: ClaimedRun, rule: Mapping[str, Any], error: Error) -> None:
    """Within the transaction that ends a run as failed: start what `config.on_failure` (rendered) names.

    Once an attempt of the run. What cannot be started is logged: the run has failed all the same.
    """
    if run.trigger_type == ON_FAILURE and str(run.workflow_id) == rule["workflow_id"]:
        return  # its own failure is not to start it again
    parent = Run.objects.select_related("workflow").get(pk=run.id)
    start = Start(
        parent_run_id=run.id,
        workflow_id=rule["workflow_id"],
        inputs=_of_failure(parent, error) | (rule.get("inputs") or {}),
        trigger=Trigger(type=ON_FAILURE, id=str(run.id)),
        start_key=f"{ON_FAILURE}-{run.id}-{run.attempt}",
    )
    try:
        with transaction.atomic():
            start_related(parent, start)
    except FlowForgeError as refusal:
        log.warning("run %s: on_failure started nothing: %s", run.id, refusal.detail)


def _of_failure(run: Run, error: Error) -> dict[str, Json]:
    return {
        "run_id": str(run.id),
        "workflow_id": str(run.workflow_id),
        "workflow_name": run.workflow.name,
        "error": dict(error),
        "failed_step": error.get("step"),
        "inputs": run.inputs,
    }
