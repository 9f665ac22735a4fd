"""From a step's outcome to its row and its events: a function of values."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from flowforge.core import json
from flowforge.core.clock import isoformat
from flowforge.core.json import Json
from flowforge.engine.store.rows import EventRow, StepRow
from flowforge.kernel.definition import Node
from flowforge.kernel.retry import next_attempt_at
from flowforge.steps import verdicts
from flowforge.steps.base import Completed, Failed, Outcome, Waiting

MAX_OUTPUT_BYTES = 1024 * 1024
MAX_WAITS_FOR_LENGTH = 120


@dataclass(slots=True, kw_only=True)
class Result:
    """What became of one attempt, as the executor saw it."""

    outcome: Outcome | None  # None: handed back; it counts as never begun
    dropped: bool = False  # it was stopped and the driver says why: nothing to record here
    inputs: Json = None  # the rendered config, masked
    logs: list[EventRow] = field(default_factory=list)  # lines not stored yet


def conclude(
    row: StepRow, node: Node, result: Result, now: datetime, random: Callable[[], float]
) -> tuple[list[EventRow], float]:
    """Write an attempt's result into its row; returns the events that tell of it, and its cost."""
    row.inputs = result.inputs
    row.lease_expires_at = None
    outcome = result.outcome
    if outcome is None:
        row.status, row.available_at, row.attempt = "retrying", now, row.attempt - 1
        return [*result.logs, _event(row, "step.retrying", now, reason="handed_back")], 0.0
    row.lost_count = 0
    row.has_output = True
    outcome = _storable(row, outcome)
    if isinstance(outcome, Completed):
        event = _complete(row, outcome, now)
    elif isinstance(outcome, Waiting):
        event = _wait(row, outcome, now)
    else:
        event = _fail(row, node, outcome, now, random)
    return [*result.logs, event], 0.0


def duration_ms(row: StepRow, now: datetime) -> int:
    return round((now - (row.started_at or now)).total_seconds() * 1000)


def _complete(row: StepRow, outcome: Completed, now: datetime) -> EventRow:
    row.status, row.output, row.branch, row.error = "completed", outcome.output, verdicts.label(outcome.branch), None
    row.finished_at = now
    extra = {} if outcome.branch is None else {"branch": outcome.branch}
    return _event(row, "step.completed", now, duration_ms=duration_ms(row, now), **extra)


def _wait(row: StepRow, outcome: Waiting, now: datetime) -> EventRow:
    """What it will give once it is over is written now: nobody has to ask the step type again."""
    row.status, row.available_at, row.waits_for = "waiting", outcome.until, outcome.waits_for[:MAX_WAITS_FOR_LENGTH]
    row.output, row.branch, row.error = None, None, None
    row.then = verdicts.stored(outcome.then)
    if outcome.asks:
        row.then["asks"] = json.sanitize(outcome.asks)[0]
    return _event(row, "step.waiting", now, until=isoformat(outcome.until), waits_for=row.waits_for)


def _fail(row: StepRow, node: Node, outcome: Failed, now: datetime, random: Callable[[], float]) -> EventRow:
    row.error = verdicts.error_of(outcome)
    row.output = None if node.on_error == "continue" else outcome.output
    retry_at = None
    if outcome.retryable:
        granted_before = max(0, row.max_attempts - node.retry.max_attempts)  # by earlier attempts of the run
        failures = row.attempt - granted_before
        retry_at = next_attempt_at(node.retry, failures, now, random, outcome.retry_after_seconds)
    if retry_at is not None:
        row.status, row.available_at = "retrying", retry_at
        return _event(row, "step.retrying", now, error=row.error, retry_at=isoformat(retry_at))
    row.status, row.finished_at = "failed", now
    return _event(row, "step.failed", now, error=row.error, duration_ms=duration_ms(row, now))


def _storable(row: StepRow, outcome: Outcome) -> Outcome:
    """Replace what no database can hold, refuse what is too large."""
    given = outcome.then if isinstance(outcome, Waiting) else outcome
    if given.output is None:
        return outcome
    clean, row.sanitized = json.sanitize(given.output)
    size = len(json.dumps(clean))
    if size > MAX_OUTPUT_BYTES:
        message = f"The output has {size} bytes; at most {MAX_OUTPUT_BYTES} can be kept."
        return Failed(code="invalid_output", message=message, retryable=False)
    if not row.sanitized:
        return outcome
    cleaned = replace(given, output=clean)
    return replace(outcome, then=cleaned) if isinstance(outcome, Waiting) else cleaned


def _event(row: StepRow, name: str, now: datetime, **data: Any) -> EventRow:
    return EventRow(at=now, event=name, step_id=row.id, data={"node_id": row.node_id, "attempt": row.attempt, **data})
