"""What a step that waits waits for, in the words of the API."""

from collections.abc import Iterator

from flowforge.core.clock import isoformat
from flowforge.engine.obstacles import Obstacle
from flowforge.engine.store.rows import StepRow
from flowforge.steps import approval, wait_event
from flowforge.steps.map import WAITS_FOR_ITEMS
from flowforge.steps.workflow import WAITS_FOR_RUN


def obstacles(row: StepRow) -> Iterator[Obstacle]:
    """Of a step that is waiting; none of a map, whose items have their own."""
    until = "" if row.available_at is None else f", until {isoformat(row.available_at)}"
    kept = {"since": row.started_at, "until": row.available_at, "step": row.key}
    if row.waits_for == WAITS_FOR_ITEMS:
        return
    if row.waits_for == approval.WAITS_FOR:
        yield Obstacle(
            code="waiting_for_approval",
            message=f"{row.key} waits for somebody to decide{until}.",
            holder=("step", str(row.id)),
            unblock=("approve", "reject", "override"),
            **kept,  # type: ignore[arg-type]  # the three of them, as declared
        )
    elif row.waits_for == "time":
        yield Obstacle(
            code="waiting_until",
            message=f"{row.key} waits{until}.",
            holder=("step", str(row.id)),
            unblock=("override",),
            **kept,  # type: ignore[arg-type]  # as above
        )
    elif row.waits_for.startswith(WAITS_FOR_RUN):
        yield _of_run(row)
    else:
        name = row.waits_for.removeprefix(wait_event.PREFIX)
        yield Obstacle(
            code="waiting_for_event",
            message=f"{row.key} waits for {name}{until}.",
            holder=("event", name),
            unblock=("publish_event", "complete", "override"),
            **kept,  # type: ignore[arg-type]  # as above
        )


def _of_run(row: StepRow) -> Obstacle:
    run_id = row.waits_for.removeprefix(WAITS_FOR_RUN)
    until = "" if row.available_at is None else f", until {isoformat(row.available_at)}"
    return Obstacle(
        code="dependency",
        message=f"{row.key} waits for the end of the run {run_id}{until}.",
        holder=("run", run_id),
        since=row.started_at,
        until=row.available_at,
        step=row.key,
        unblock=("cancel_holder", "override"),
    )


def backoff(row: StepRow) -> Obstacle:
    """Of a step whose next attempt is to come, or that goes on when a run has ended."""
    if row.waits_for.startswith(WAITS_FOR_RUN):
        return _of_run(row)
    code = (row.error or {}).get("code", "an error")
    return Obstacle(
        code="retry_backoff",
        message=f"{row.key} failed with {code}; attempt {row.attempt + 1} of {row.max_attempts} begins at "
        f"{isoformat(row.available_at)}.",
        holder=("step", str(row.id)),
        since=row.finished_at,
        until=row.available_at,
        step=row.key,
        unblock=("override",),
    )
