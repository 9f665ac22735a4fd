"""Steps that someone outside ends: a verdict on a step that waits, or has yet to begin."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flowforge.kernel.dispatch import dispatchable
from flowforge.kernel.document import load
from flowforge.kernel.machine import decide
from flowforge.kernel.runstate import RunState, StepState, Verdict

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
REFUSED = {"code": "approval_rejected", "message": "no"}


def state_of(status: Any, resolution: Verdict | None, *, when: str | None = None, **fields: Any) -> RunState:
    """`a` has that status, `b` follows it."""
    nodes = [{"id": name, "type": "x", "config": {}} for name in ("a", "b")]
    definition = load({"nodes": nodes, "edges": [{"source": "a", "target": "b", "when": when}]})
    state = RunState(definition, status="running", started=True)
    state.restore(StepState(node=definition.by_id["a"], status=status, resolution=resolution, **fields))
    return state


def statuses(state: RunState) -> dict[str, str]:
    return {node: step.status for node, step in state.steps.items()}


def never(text: str, source: StepState | None) -> bool:
    raise AssertionError(text)


@pytest.mark.parametrize("status", ["waiting", "pending", "retrying"])
def test_it_works(status: str) -> None:
    state = state_of(status, Verdict(status="completed"), available_at=NOW + timedelta(hours=1))
    found = decide(state, NOW, never)
    assert statuses(state) == {"a": "completed", "b": "pending"}
    assert found.changes[0].reason == "resolved"


def test_it_rejects_no_worker_that_is_at_it() -> None:
    """A step that runs is its worker's: nobody resolves one, and a verdict would be kept for later."""
    state = state_of("running", Verdict(status="completed"), lease_expires_at=NOW + timedelta(hours=1))
    decide(state, NOW, never)
    assert statuses(state) == {"a": "running"}


def test_what_is_resolved_is_not_dispatched() -> None:
    state = state_of("pending", Verdict(status="failed", error=REFUSED), available_at=NOW)
    decide(state, NOW, never)
    assert dispatchable(state, NOW) == []
    assert state.status == "failed"


def test_a_resolution_goes_before_a_timeout_of_the_same_moment() -> None:
    late = Verdict(status="failed", error={"code": "timeout", "message": "late"})
    state = state_of("waiting", Verdict(status="completed"), available_at=NOW, then=late)
    decide(state, NOW, never)
    assert statuses(state)["a"] == "completed"


@pytest.mark.parametrize(
    ("when", "expected"),
    [("rejected", "completed"), ("approved", "failed"), (None, "failed"), ("{{ x }}", "completed")],
)
def test_a_refusal_that_nobody_takes_is_a_failure(when: str | None, expected: str) -> None:
    state = state_of("waiting", Verdict(status="completed", branch="rejected", otherwise=REFUSED), when=when)
    decide(state, NOW, lambda _text, _source: True)
    assert statuses(state)["a"] == expected
    assert state.steps["a"].error == (REFUSED if expected == "failed" else None)


def test_a_paused_run_takes_decisions_and_begins_nothing() -> None:
    state = state_of("waiting", Verdict(status="completed"))
    state.pause_requested = True
    decide(state, NOW, never)
    assert statuses(state) == {"a": "completed"}
    assert state.status == "paused"
