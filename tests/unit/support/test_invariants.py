"""The invariants find what they are there to find."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.invariants import EventRow, RunRow, StepRow, Story, violations

RUN = RunRow(
    id="r",
    status="completed",
    attempt=1,
    event_seq=6,
    steps_total=1,
    steps_completed=1,
    steps_failed=0,
    steps_skipped=0,
    retries=0,
    lease_token=1,
    lease_expires_at=None,
    wake_at=None,
)
STEP = StepRow(
    id="s", run_id="r", node_id="a", index=-1, status="completed", attempt=1, max_attempts=1, lease_expires_at=None
)


def told(*events: str, **data: Any) -> list[EventRow]:
    """`run.started:running`: a run's event with its status; others are the step's."""
    found = []
    for seq, text in enumerate(events, 1):
        event, _, status = text.partition(":")
        mine = {"status": status} if event.startswith("run.") else data
        found.append(EventRow(run_id="r", seq=seq, event=event, step_id=None if "run." in event else "s", data=mine))
    return found


FIRST = ("run.created:pending", "run.started:running", "step.started")
GOOD = Story(run=RUN, steps=[STEP], events=told(*FIRST, "step.log", "step.completed", "run.completed:completed"))


def test_it_works() -> None:
    assert violations([GOOD]) == []


def test_what_is_given_back_is_no_attempt() -> None:
    events = told(*FIRST, "step.retrying", "step.started", "step.completed", "run.completed:completed")
    assert violations([replace(GOOD, run=replace(RUN, event_seq=7), events=events)]) == []


RETRIED = (*FIRST, "step.failed", "run.failed:failed", "run.retried:running")


def test_a_retry_takes_up_what_failed() -> None:
    run, step = replace(RUN, event_seq=9, attempt=2), replace(STEP, attempt=2, max_attempts=2)
    events = told(*RETRIED, "step.started", "step.completed", "run.completed:completed")
    assert violations([Story(run=run, steps=[step], events=events)]) == []


def test_a_retry_may_keep_a_failure() -> None:
    run, step = replace(RUN, event_seq=7, attempt=2, steps_completed=0, steps_failed=1), replace(STEP, status="failed")
    events = told(*RETRIED, "run.completed:completed")
    assert violations([Story(run=run, steps=[step], events=events)]) == []


def test_a_retry_takes_up_nothing_that_completed() -> None:
    run, step = replace(RUN, event_seq=9, attempt=2), replace(STEP, attempt=2, max_attempts=2)
    head = (*FIRST, "step.completed", "run.failed:failed", "run.retried:running")
    events = told(*head, "step.started", "step.completed", "run.completed:completed")
    assert any("follows completed" in fault for fault in violations([Story(run=run, steps=[step], events=events)]))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"event_seq": 5}, "event_seq is 5 after 6 events"),
        ({"status": "failed"}, "it is failed, but its history ends with run.completed"),
        ({"status": "running"}, "it has not ended"),
        ({"lease_expires_at": "later"}, "lease_expires_at later"),
        ({"wake_at": "later"}, "wake_at later"),
        ({"steps_completed": 2}, "steps_completed is 2 of 1"),
        ({"retries": 1}, "retries is 1 of 0"),
        ({"steps_total": 2}, "1 of 2 steps have a row"),
    ],
)
def test_it_rejects_a_row_that_does_not_fit(change: dict[str, Any], fault: str) -> None:
    [found] = violations([replace(GOOD, run=replace(RUN, **change))])
    assert fault in found


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"lease_expires_at": "later"}, "steps hold leases"),
        ({"attempt": 2}, "attempt is 2; it started 1 times"),
        ({"status": "running"}, "it is running, its history ends with completed"),
        ({"max_attempts": 0}, "attempt 1 of 0"),
    ],
)
def test_it_rejects_a_step_that_does_not_fit(change: dict[str, Any], fault: str) -> None:
    assert any(fault in found for found in violations([replace(GOOD, steps=[replace(STEP, **change)])]))


@pytest.mark.parametrize(
    ("events", "fault"),
    [
        (("step.completed", "step.completed", "run.completed:completed"), "(step.completed) follows completed"),
        (("step.completed", "run.completed:completed", "run.completed:completed"), "(run.completed) follows completed"),
        (("step.completed", "run.completed:completed", "step.log"), "its history ends with step.log"),
        (("step.started", "step.completed", "run.completed:completed"), "(step.started) follows running"),
        (("step.completed", "run.started:running", "run.completed:completed"), "it started twice"),
    ],
)
def test_it_rejects_a_history_that_cannot_be(events: tuple[str, ...], fault: str) -> None:
    assert any(fault in found for found in violations([replace(GOOD, events=told(*FIRST, *events))]))


def test_it_rejects_a_gap() -> None:
    events = [replace(event, seq=event.seq + (event.seq > 3)) for event in GOOD.events]
    assert any("seqs" in found for found in violations([replace(GOOD, events=events)]))
