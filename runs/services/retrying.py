"""Retrying a run: it goes on as its next attempt, and what completed is kept."""

import uuid
from collections.abc import Mapping
from typing import Final

from django.db import transaction

from flowforge.core import bell, clock
from flowforge.core.errors import Conflict, NotFound
from flowforge.core.json import Json
from flowforge.kernel.definition import Definition
from flowforge.kernel.expressions import ExpressionError, compile_expression, truthy
from flowforge.kernel.machine import EvaluationFailed
from flowforge.kernel.retaking import taken_up
from flowforge.kernel.runstate import StepState
from flowforge.projects.selectors import require_active
from runs import transitions
from runs.models import Run, StepRun
from runs.scope import NOT_BEGUN, scope_of
from workflows.selectors import definition_of

# the documents are read when an expression asks for them
_NEEDED: Final = (
    "status", "attempt", "version_id", "event_seq", "started_at", "project_id", "project__status",
    "project__settings", "concurrency_key",
)  # fmt: skip


def retry_run(*, run_id: uuid.UUID, caller_actor: str) -> None:
    """Let a run that failed or was cancelled go on from there; what to do anew is `kernel.retaking.taken_up`.

    One transaction: of several callers one succeeds. Raises Conflict (409) for a run in any other state or of an
    archived project, NotFound.
    """
    now = clock.now()
    with transaction.atomic():
        run = _lock_retryable(run_id)
        definition = definition_of(run.version_id)
        steps = _steps_of(run, definition)
        transitions.retry(
            run,
            taken_up(definition, steps, _Recorded(run).evaluate),
            {node_id: step.status for node_id, step in steps.items()},
            timeout_seconds=definition.config.timeout_seconds,
            limited=run.concurrency_key is not None or "max_concurrent_runs" in run.project.settings,
            actor=caller_actor,
            now=now,
        )
        bell.drive(run_id)


def _lock_retryable(run_id: uuid.UUID) -> Run:
    run = (
        Run.objects.select_for_update(of=("self",))
        .select_related("project")
        .only(*_NEEDED)
        .filter(id=run_id)
        .order_by()
        .first()
    )
    if run is None:
        raise NotFound(detail="There is no such run.")
    require_active(run.project)
    if run.status not in transitions.RETRYABLE:
        raise Conflict(detail=f"Only a run that failed or was cancelled can be retried: it is {run.status}.")
    return run


def _steps_of(run: Run, definition: Definition) -> dict[str, StepState]:
    """Node -> its step as it was recorded."""
    rows = StepRun.objects.filter(run_id=run.id, index=-1).order_by()
    return {
        node_id: StepState(
            node=definition.by_id[node_id],
            status=status,  # type: ignore[arg-type]  # the column holds a StepStatus: step_status_known
            branch=branch,
            finished_at=finished_at,
        )
        for node_id, status, branch, finished_at in rows.values_list("node_id", "status", "branch", "finished_at")
    }


class _Recorded:
    """Asks the expressions of a run's edges again, of what was recorded."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def evaluate(self, text: str, source: StepState | None) -> bool:
        """As the engine has evaluated it, at the moment of the source's end. Raises EvaluationFailed."""
        try:
            expression = compile_expression(text)
            names = {ref.name for ref in expression.references if ref.root == "steps" and ref.name is not None}
            moment = source.finished_at if source is not None else None
            scope = scope_of(self._run, self._results(names), moment or clock.now())
            return truthy(expression.evaluate(scope))
        except ExpressionError as error:
            raise EvaluationFailed(error.code, error.message) from None

    def _results(self, names: set[str]) -> Mapping[str, Mapping[str, Json]]:
        rows = StepRun.objects.filter(run_id=self._run.id, index=-1, node_id__in=names)
        found = {row.node_id: {"status": row.status, "output": row.output, "error": row.error} for row in rows}
        return dict.fromkeys(names, NOT_BEGUN) | found
