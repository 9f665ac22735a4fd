"""The gates before which runs wait for a place, and the queues there. A gate's `id` is what `Run.queued_in` holds.

A run passes its gates in this order: its concurrency key, whose place it then keeps until it ends; its project, whose
place it has while it runs; its rate limit, once. So nobody who has a project's place waits for a key.
"""

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final, Literal, cast

from flowforge.core import json
from flowforge.core.errors import Fault, InvalidBody
from flowforge.core.json import Json
from flowforge.kernel.definition import Definition
from flowforge.kernel.expressions import ExpressionError, Template, compile_template
from flowforge.projects.models import Project
from runs.models import Run
from runs.scope import scope_of

Kind = Literal["key", "project", "rate"]

MAX_KEY: Final = 120  # characters of a key that are kept as they are: of a longer one its digest tells it apart


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    kind: Kind
    owner: uuid.UUID  # the project, or the workflow whose key it is
    key: str = ""

    @property
    def id(self) -> str:
        return f"{self.kind}:{self.owner.hex}:{self.key}"

    @classmethod
    def of(cls, gate_id: str) -> "Gate":
        kind, owner, key = gate_id.split(":", 2)
        return cls(kind=cast(Kind, kind), owner=uuid.UUID(owner), key=key)


def gates_of(
    *,
    project_id: uuid.UUID,
    workflow_id: uuid.UUID,
    concurrency_key: str | None,
    limited_project: bool,
    rate_key: str | None,
) -> list[Gate]:
    """The gates of a run, in the order in which it passes them."""
    found = []
    if concurrency_key is not None:
        found.append(Gate(kind="key", owner=workflow_id, key=concurrency_key))
    if limited_project:
        found.append(Gate(kind="project", owner=project_id))
    if rate_key is not None:
        found.append(Gate(kind="rate", owner=workflow_id, key=rate_key))
    return found


def mark(run: Run, definition: Definition, project: Project, *, joins: bool) -> None:
    """Say of a run that is not stored yet under which limits it falls, and put it into the first queue.

    `joins`: it may become one with others, by the workflow's `debounce`. In the queue it stands from its beginning, so
    that of those which come at once the first in order begins. Raises InvalidBody (422) if the expression of a key
    cannot be evaluated.
    """
    config = definition.config
    if config.expires_in_seconds is not None:
        run.expires_at = run.created_at + timedelta(seconds=config.expires_in_seconds)
    if config.debounce is not None and joins:
        run.debounce_key = key_of(run, config.debounce.key, "debounce")
        quiet_until = run.created_at + timedelta(seconds=config.debounce.delay_seconds)
        run.run_at = max(run.run_at or quiet_until, quiet_until)
        run.wake_at = run.run_at
    if config.concurrency is not None:
        run.concurrency_key = key_of(run, config.concurrency.key, "concurrency")
    if config.rate_limit is not None:
        run.rate_key = key_of(run, config.rate_limit.key, "rate_limit")
    enqueue(run, project)


def enqueue(run: Run, project: Project) -> None:
    """Put a run that is due into the queue before its first gate."""
    gates = gates_before(run, project)
    if gates and (run.run_at is None or run.run_at <= run.created_at):
        run.queued_in, run.queued_at = gates[0].id, run.created_at


def key_of(run: Run, expression: str | None, of: str) -> str:
    """The key of a run, as text; "" where all runs of the workflow share one. Raises InvalidBody."""
    if not expression:
        return ""
    try:
        value = _template(expression).render(scope_of(run, {}, run.created_at))
    except ExpressionError as error:
        fault = Fault(pointer="/inputs", code=error.code, detail=f"config.{of}.key: {error.message}")
        raise InvalidBody(detail=f"The key of {of} cannot be evaluated: {error.message}", faults=[fault]) from None
    return _shortened(value)


def line_up(runs: Iterable[Run]) -> None:
    """Of runs that join a queue together, let the first be looked at: whoever that is done for wakes those behind it,
    as far as there are places."""
    queues: dict[str, list[Run]] = {}
    for run in runs:
        if run.queued_in is not None:
            queues.setdefault(run.queued_in, []).append(run)
    for queue in queues.values():
        first = max(queue, key=lambda run: run.priority)  # of equals the oldest
        for run in queue:
            if run is not first:
                run.wake_at = run.expires_at


def gates_before(run: Run, project: Project) -> Sequence[Gate]:
    """The gates of a run that has not begun."""
    return gates_of(
        project_id=run.project_id,
        workflow_id=run.workflow_id,
        concurrency_key=run.concurrency_key,
        limited_project="max_concurrent_runs" in project.settings,
        rate_key=run.rate_key,
    )


def _shortened(value: Json) -> str:
    text: Any = value if isinstance(value, str) else json.text(value)
    if len(text) <= MAX_KEY:
        return str(text)
    return f"{text[:MAX_KEY]}…{hashlib.sha256(text.encode()).hexdigest()}"


@lru_cache(maxsize=1_000)
def _template(expression: str) -> Template:
    return compile_template(expression)
