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
from flowforge.steps.base import Completed, Continues, Failed, Outcome, Waiting
from flowforge.steps.workflow import WAITS_FOR_RUN

MAX_OUTPUT_BYTES = 1024 * 1024
MAX_WAITS_FOR_LENGTH = 120


@dataclass(slots=True, kw_only=True)
class Result:
    """What became of one attempt, as the executor saw it."""

    outcome: Outcome | None  # None: handed back; it counts as never begun
    dropped: bool = False  # it was stopped and the driver says why: nothing to record here
    inputs: Json = None  # the rendered config, masked
    logs: list[EventRow] = field(default_factory=list)  # lines not stored yet
    reason: str | None = None  # of a completion without execution: `cached`


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
    cost = 0.0 if isinstance(outcome, Waiting) else outcome.cost
    outcome = _bounded(row, outcome)
    if isinstance(outcome, Completed):
        event = _complete(row, outcome, now, result.reason)
    elif isinstance(outcome, Waiting):
        event = _wait(row, outcome, now)
    elif isinstance(outcome, Continues):
        event = _continue(row, outcome, now)
    else:
        event = _fail(row, node, outcome, now, random)
    return [*result.logs, event], cost


def duration_ms(row: StepRow, now: datetime) -> int:
    return round((now - (row.started_at or now)).total_seconds() * 1000)


def _complete(row: StepRow, outcome: Completed, now: datetime, reason: str | None) -> EventRow:
    row.status, row.output, row.branch, row.error = "completed", outcome.output, verdicts.label(outcome.branch), None
    row.finished_at = now
    told = {"branch": row.branch, "reason": reason}
    extra = {name: value for name, value in told.items() if value is not None}
    return _event(row, "step.completed", now, duration_ms=duration_ms(row, now), **extra)


def _wait(row: StepRow, outcome: Waiting, now: datetime) -> EventRow:
    """What it will give once it is over is written now: nobody has to ask the step type again."""
    row.status, row.available_at, row.waits_for = "waiting", outcome.until, outcome.waits_for[:MAX_WAITS_FOR_LENGTH]
    row.output, row.branch, row.error = None, None, None
    row.then, row.items = verdicts.stored(outcome.then), outcome.items
    if outcome.asks:
        row.then["asks"] = json.sanitize(outcome.asks)[0]
    return _event(row, "step.waiting", now, until=isoformat(outcome.until), waits_for=row.waits_for)


def _continue(row: StepRow, outcome: Continues, now: datetime) -> EventRow:
    """The same attempt goes on once its time has come, or its run has ended; see relatives.hear_continuing."""
    row.status, row.available_at, row.attempt = "retrying", outcome.until, row.attempt - 1
    row.waits_for = "" if outcome.run_id is None else f"{WAITS_FOR_RUN}{outcome.run_id}"
    row.output, row.branch, row.error = None, None, None
    row.then = verdicts.stored(Completed()) | {"kept": dict(outcome.kept)}
    return _event(row, "step.retrying", now, reason="continues", until=isoformat(outcome.until))


def _fail(row: StepRow, node: Node, outcome: Failed, now: datetime, random: Callable[[], float]) -> EventRow:
    row.error, row.waits_for = verdicts.error_of(outcome), ""
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


def storable(row: StepRow, outcome: Completed | Failed) -> Completed | Failed:
    """Replace what no database can hold, which marks the row as `sanitized`; refuse what is too large."""
    if outcome.output is None:
        return outcome
    clean, row.sanitized = json.sanitize(outcome.output)
    size = len(json.dumps(clean))
    if size > MAX_OUTPUT_BYTES:
        message = f"The output has {size} bytes; at most {MAX_OUTPUT_BYTES} can be kept."
        return Failed(code="invalid_output", message=message, retryable=False)
    return replace(outcome, output=clean) if row.sanitized else outcome


def _bounded(row: StepRow, outcome: Outcome) -> Outcome:
    """A wait whose output could not be kept has failed before it begins."""
    if isinstance(outcome, Continues):
        return _keepable(outcome)
    if not isinstance(outcome, Waiting):
        return storable(row, outcome)
    then = storable(row, outcome.then)
    if isinstance(outcome.then, Completed) and isinstance(then, Failed):
        return then
    if outcome.items is None:
        return replace(outcome, then=then)
    clean, row.sanitized = json.sanitize(outcome.items)
    size = len(json.dumps(clean))
    if size > MAX_OUTPUT_BYTES:
        message = f"The items have {size} bytes; at most {MAX_OUTPUT_BYTES} can be kept."
        return Failed(code="too_large", message=message, retryable=False)
    return replace(outcome, then=then, items=clean)


def _keepable(outcome: Continues) -> Continues | Failed:
    kept = json.sanitize(outcome.kept)[0]
    size = len(json.dumps(kept))
    if size > MAX_OUTPUT_BYTES:
        message = f"What the step keeps has {size} bytes; at most {MAX_OUTPUT_BYTES} can be kept."
        return Failed(code="too_large", message=message, retryable=False)
    return replace(outcome, kept=kept)


def _event(row: StepRow, name: str, now: datetime, **data: Any) -> EventRow:
    return EventRow(at=now, event=name, step_id=row.id, data={**row.told, "attempt": row.attempt, **data})
