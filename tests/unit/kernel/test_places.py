"""A run without a place stands still; one that has not begun in time never does."""

from datetime import datetime, timedelta
from typing import Any

from flowforge.kernel.definition import Definition, Edge, Node
from flowforge.kernel.dispatch import dispatchable, next_wake
from flowforge.kernel.machine import decide
from flowforge.kernel.runstate import Decisions, RunChange, RunState, StepState, Verdict
from tests.support.machine import NOW, evaluate

LATER = NOW + timedelta(hours=1)

CHAIN = Definition(
    nodes=(Node(id="a", position=0, type="t"), Node(id="b", position=1, type="t")),
    edges=(Edge(position=0, source="a", target="b"),),
)


def told(decisions: Decisions) -> list[str]:
    return [change.event if isinstance(change, RunChange) else change.node.id for change in decisions.changes]


def waiting(**fields: Any) -> RunState:
    """A run whose first step waits, and that is to go on."""
    state = RunState(CHAIN, status="waiting", started=True)
    step = StepState(node=CHAIN.by_id["a"], status="waiting", **fields)
    state.restore(step)
    return state


def test_it_works() -> None:
    state = RunState(CHAIN)
    state.placeless = True
    assert told(decide(state, NOW, evaluate)) == []
    assert (state.status, dispatchable(state, NOW), next_wake(state, NOW)) == ("pending", [], None)
    state.placeless = False
    assert told(decide(state, NOW, evaluate)) == ["run.started", "a"]


def test_a_wait_ends_without_a_place_and_nothing_begins() -> None:
    state = waiting(resolution=Verdict(status="completed"))
    state.placeless = True
    assert told(decide(state, NOW, evaluate)) == ["a"]
    assert (state.status, dispatchable(state, NOW)) == ("waiting", [])
    state.placeless = False
    assert told(decide(state, NOW, evaluate)) == ["b", "run.resumed"]


def test_a_run_that_has_nothing_left_to_do_ends_without_a_place() -> None:
    state = waiting(resolution=Verdict(status="failed", error={"code": "no"}))
    state.placeless = True
    assert told(decide(state, NOW, evaluate))[-1] == "run.failed"


def test_a_run_that_is_resumed_without_a_place_waits_for_one() -> None:
    state = RunState(CHAIN, status="paused", started=True)
    state.placeless = True
    changes = decide(state, NOW, evaluate).changes
    assert [(change.status, change.reason) for change in changes] == [("waiting", "paused")]


def expiring(at: datetime, **fields: Any) -> RunState:
    return RunState(CHAIN, expires_at=at, **fields)


def test_what_has_not_begun_in_time_fails() -> None:
    state = expiring(LATER, run_at=LATER + timedelta(days=1))
    assert told(decide(state, NOW, evaluate)) == []
    assert next_wake(state, NOW) == LATER
    changes = decide(state, LATER, evaluate).changes
    assert isinstance(changes[-1], RunChange)
    assert (changes[-1].status, dict(changes[-1].error or {})["code"]) == ("failed", "expired")


def test_it_expires_while_it_is_paused_too_and_a_cancellation_goes_first() -> None:
    state = expiring(NOW)
    state.pause_requested = True
    assert told(decide(state, NOW, evaluate))[-1] == "run.failed"
    state = expiring(NOW)
    state.cancel_requested = True
    assert told(decide(state, NOW, evaluate))[-1] == "run.cancelled"


def test_what_has_begun_does_not_expire() -> None:
    state = expiring(NOW, status="running", started=True)
    assert "run.failed" not in told(decide(state, LATER, evaluate))
