"""The bars of a run's steps."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flowforge.kernel.states import STEP_STATUSES
from runs.timeline import Bar, timeline
from tests.support.sources import CHECKOUT

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
NOW = BEGIN + timedelta(seconds=100)


def at(seconds: float) -> str:
    return (BEGIN + timedelta(seconds=seconds)).isoformat()


def step(name: str, begin: float | None = None, end: float | None = None, **fields: Any) -> dict[str, Any]:
    moments = {"started_at": None if begin is None else at(begin), "finished_at": None if end is None else at(end)}
    return {"id": name, "name": name, "status": "completed", "attempt": 1, **moments, **fields}


def event(name: str, seconds: float, kind: str, **data: Any) -> dict[str, Any]:
    return {"step_id": name, "at": at(seconds), "event": f"step.{kind}", "data": data}


def bars(steps: list[Any], events: list[Any]) -> list[list[tuple[str, str, str]]]:
    found = timeline(steps, events, NOW)
    assert found is not None
    return [[(bar.status, bar.left, bar.width) for bar in lane.bars] for lane in found.lanes]


def test_it_works() -> None:
    """Two attempts, and a step that still runs."""
    events = [
        event("a", 0, "started", attempt=1),
        event("a", 20, "retrying", attempt=1),
        event("a", 50, "started", attempt=2),
        event("a", 75, "completed", attempt=2),
        event("b", 75, "started", attempt=1),
        {"at": at(80), "event": "run.waiting", "data": {}},
    ]
    found = timeline([step("a", 50, 75), step("b", 75), step("c")], events, NOW)
    assert found is not None
    assert [lane.name for lane in found.lanes] == ["a", "b"]
    assert found.lanes[0].bars == [
        Bar(status="retrying", left="0.00", width="20.00", title="attempt 1, retrying: 20 s"),
        Bar(status="completed", left="50.00", width="25.00", title="attempt 2, completed: 25 s"),
    ]
    assert found.lanes[1].bars == [Bar(status="running", left="75.00", width="25.00", title="attempt 1, running: 25 s")]
    assert found.ticks == [("0", "0 ms"), ("25", "25 s"), ("50", "50 s"), ("75", "1 min 15 s"), ("100", "1 min 40 s")]


def test_it_rejects_runs_in_which_nothing_began() -> None:
    assert timeline([step("a")], [], NOW) is None
    assert timeline([], [], NOW) is None


def test_waiting_is_a_bar_of_its_own() -> None:
    events = [event("a", 0, "started", attempt=1), event("a", 10, "waiting"), event("a", 100, "completed")]
    assert bars([step("a")], events) == [[("completed", "0.00", "10.00"), ("waiting", "10.00", "90.00")]]


def test_a_step_without_events_has_the_bar_of_its_last_attempt() -> None:
    events = [event("b", 0, "started", attempt=1), event("b", 40, "failed")]
    steps = [step("a", 20, 30, status="failed"), step("b", 0, 40)]
    assert bars(steps, events) == [[("failed", "50.00", "25.00")], [("failed", "0.00", "100.00")]]


def test_a_step_that_took_no_time_has_a_bar() -> None:
    assert bars([step("a", 5, 5)], []) == [[("completed", "0.00", "0.00")]]


@pytest.mark.parametrize("status", sorted(set(STEP_STATUSES) - {"pending", "skipped"}))
def test_every_status_of_a_bar_has_a_colour(status: str) -> None:
    assert f".ff-bar.s-{status} " in (CHECKOUT / "flowforge/staff/static/staff/staff.css").read_text()
