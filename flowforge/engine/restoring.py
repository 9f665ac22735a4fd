"""From rows to what the machine knows of a run and its steps."""

from flowforge.engine.plan import Plan
from flowforge.engine.store.rows import ClaimedRun, StepRow
from flowforge.kernel.runstate import RunState, StepState, Verdict


def new_state(run: ClaimedRun, plan: Plan) -> RunState:
    """The run without its steps."""
    state = RunState(
        plan.definition,
        status=run.status,  # type: ignore[arg-type]  # the column holds a RunStatus: run_status_known
        started=run.started_at is not None,
        run_at=run.run_at,
        deadline_at=run.deadline_at,
    )
    state.cancel_requested, state.pause_requested, state.held = run.cancel_requested, run.pause_requested, run.held
    return state


def step_state(plan: Plan, row: StepRow) -> StepState:
    return StepState(
        node=plan.node(row),
        index=row.item,
        status=row.status,  # type: ignore[arg-type]  # the column holds a StepStatus: step_status_known
        attempt=row.attempt,
        available_at=row.available_at,
        lease_expires_at=row.lease_expires_at,
        lost_count=row.lost_count,
        branch=row.branch,
        error=row.error,
        finished_at=row.finished_at,
        then=None if row.then is None else Verdict.of(row.then),
        resolution=None if row.resolution is None else Verdict.of(row.resolution),
    )
