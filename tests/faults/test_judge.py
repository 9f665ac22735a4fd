"""The judge finds what it is there to find: a clean story, spoilt in one way after the other."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.faults.client import Offered
from tests.faults.judge import Judge, Verdict
from tests.faults.ledger import Effect
from tests.faults.load import Load, Stored
from tests.faults.prediction import Inputs
from tests.faults.programs import Edge, Node, Program
from tests.support.invariants import EventRow, RunRow, StepRow, Story

PROGRAM = Program(
    seed=0,
    nodes=[Node(id="a", kind="noted", amount=1), Node(id="b", kind="sum", amount=2)],
    edges=[Edge(source="a", target="b")],
)
RUN_ID, STEP_A, STEP_B = (uuid.UUID(int=number) for number in (1, 2, 3))
NOW = datetime(2026, 1, 1, tzinfo=UTC)
EFFECT = Effect(key=f"ff-{STEP_A}-1", run=str(RUN_ID), node="a", index=-1, attempt=1, at=NOW.timestamp(), pid=7)
OK = Offered(token="t-0", number=0, word="ok", run_id=str(RUN_ID), asked=1, seconds=0.1)


def story() -> Story:
    told = [
        *(("run.created", None, {"status": "pending"}), ("run.started", None, {"status": "running"})),
        *(("step.started", STEP_A, {"worker": "host:7:abc"}), ("step.completed", STEP_A, {})),
        *(("step.started", STEP_B, {"worker": "host:7:abc"}), ("step.completed", STEP_B, {})),
        ("run.completed", None, {"status": "completed"}),
    ]
    events = [
        EventRow(run_id=RUN_ID.hex, seq=seq, event=event, step_id=step and step.hex, data=data, at=NOW)
        for seq, (event, step, data) in enumerate(told, 1)
    ]
    steps = [_step(STEP_A, "a"), _step(STEP_B, "b")]
    inputs = Inputs(token="t-0", lane=0, x=0).as_json()
    definition = {"nodes": [{"id": "a"}, {"id": "b"}], "edges": [{"source": "a", "target": "b"}]}
    return Story(run=_run(inputs), steps=steps, events=events, definition=definition)


def _run(inputs: dict[str, Any]) -> RunRow:
    return RunRow(
        id=RUN_ID.hex,
        status="completed",
        attempt=1,
        event_seq=7,
        steps_total=2,
        steps_completed=2,
        steps_failed=0,
        steps_skipped=0,
        retries=0,
        lease_token=1,
        lease_expires_at=None,
        wake_at=None,
        inputs=inputs,
        outputs={"total": 4},
        finished_at=NOW,
    )


def _step(step_id: uuid.UUID, node: str) -> StepRow:
    return StepRow(
        id=step_id.hex,
        run_id=RUN_ID.hex,
        node_id=node,
        index=-1,
        status="completed",
        attempt=1,
        max_attempts=1,
        lease_expires_at=None,
    )


def judged(stories: list[Story], effects: list[Effect], offered: Offered = OK) -> Verdict:
    load = Load(0, [Stored(program=PROGRAM, workflow="w")], name="t", rate=1, patience=1)
    load.history.add(offered)
    return Judge(stories, load, effects, deaths=[]).judge()


def test_it_works() -> None:
    found = judged([story()], [EFFECT])
    assert found.violations == []
    assert (found.counts["runs"], found.counts["steps"], found.counts["effects"]) == (1, 2, 1)


def spoilt(change: Callable[[Story], Story]) -> list[Story]:
    return [change(story())]


def without_events(told: Story) -> Story:
    return replace(told, events=told.events[:3] + told.events[4:])


@pytest.mark.parametrize(
    ("stories", "effects", "offered", "said"),
    [
        ([], [], OK, "accepted as"),
        ([story(), story()], [EFFECT], OK, "stored 2 times"),
        ([story()], [EFFECT], replace(OK, word="refused", run_id=None), "refused"),
        ([story()], [EFFECT], replace(OK, token="other"), "never asked for"),
        ([story()], [], OK, "effects by (step, item)"),
        ([story()], [EFFECT, EFFECT], OK, "2 effects, 1 starts"),
        ([story()], [EFFECT, replace(EFFECT, key=f"ff-{uuid.UUID(int=9)}-1")], OK, "a step that is not stored"),
        ([story()], [replace(EFFECT, at=NOW.timestamp() + 60)], OK, "60.0 s after it was completed"),
        (spoilt(without_events), [EFFECT], OK, "events have the seqs"),
        (spoilt(lambda s: replace(s, run=replace(s.run, outputs={"total": 5}))), [EFFECT], OK, "foretold was"),
        (spoilt(lambda s: replace(s, run=replace(s.run, lease_expires_at=NOW))), [EFFECT], OK, "lease_expires_at"),
        (spoilt(lambda s: replace(s, run=replace(s.run, steps_completed=1))), [EFFECT], OK, "steps_completed is 1"),
    ],
)
def test_it_finds(stories: list[Story], effects: list[Effect], offered: Offered, said: str) -> None:
    assert any(said in each for each in judged(stories, effects, offered).violations)


def test_it_finds_a_step_that_was_too_early() -> None:
    told = story()
    first, second = list(told.events[2:4]), list(told.events[4:6])
    events = [*told.events[:2], *second, *first, told.events[6]]
    numbered = [replace(event, seq=seq) for seq, event in enumerate(events, 1)]
    found = judged([replace(told, events=numbered)], [EFFECT]).violations
    assert any("before its sources have ended" in each for each in found)


def test_who_asks_for_nothing_may_be_told_nothing() -> None:
    """A request that was cut off may have been accepted or not."""
    unsure = replace(OK, word="unknown", run_id=None)
    assert judged([story()], [EFFECT], unsure).violations == []
    assert judged([], [], unsure).violations == []


def test_a_recovery_is_measured_from_the_death() -> None:
    told = story()
    lost = replace(told.events[2], event="step.retrying", data={"reason": "worker_lost"})
    again = replace(told.events[2], at=NOW + timedelta(seconds=3))
    events = [*told.events[:3], lost, again, *told.events[3:]]
    numbered = [replace(event, seq=seq) for seq, event in enumerate(events, 1)]
    load = Load(0, [Stored(program=PROGRAM, workflow="w")], name="t", rate=1, patience=1)
    load.history.add(OK)
    taken_over = replace(told, events=numbered, run=replace(told.run, event_seq=9))
    found = Judge([taken_over], load, [EFFECT, EFFECT], deaths=[(7, NOW.timestamp() + 1)]).judge()
    assert found.violations == []
    assert found.recoveries == [2.0]
    assert found.counts["effects done again"] == 1
