"""The machine against a second, naive reading of the same rules: generated graphs, any order of results."""

from datetime import timedelta
from itertools import pairwise, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowforge.kernel.definition import Definition, Edge, Node, RunConfig
from flowforge.kernel.dispatch import dispatchable, next_wake
from flowforge.kernel.machine import decide
from flowforge.kernel.runstate import MAX_LOST, RunChange, RunState, StepChange, StepState, Verdict
from flowforge.kernel.states import (
    ENDED_STEP_STATUSES,
    RUN_STATUSES,
    RUN_TRANSITIONS,
    STEP_STATUSES,
    STEP_TRANSITIONS,
)
from tests.support.machine import (
    BROKEN,
    LATER,
    NOW,
    Script,
    Shell,
    definitions,
    evaluate,
    expect,
    scripts,
    without_broken_edges,
)

# --- properties ---------------------------------------------------------------------------------------------------


def test_it_works() -> None:
    definition = Definition(
        nodes=(Node(id="a", position=0, type="t"), Node(id="b", position=1, type="t")),
        edges=(Edge(position=0, source="a", target="b"),),
    )
    shell = Shell(definition, Script(frozenset(), {"a": None, "b": None}, 1))
    shell.go()
    assert shell.statuses == {"a": "completed", "b": "completed"}
    assert shell.run_events == ["run.started", "run.completed"]


@given(definitions(), scripts())
@settings(max_examples=400)
def test_it_agrees_with_the_second_reading(definition: Definition, script: Script) -> None:
    definition = without_broken_edges(definition)
    shell = Shell(definition, script)
    shell.go()
    expected = expect(definition, script)
    assert shell.statuses == expected.statuses
    assert shell.state.status == ("failed" if expected.unhandled else "completed")
    assert {step.node.id for step in shell.state.unhandled} == set(expected.unhandled)


@given(definitions(), scripts())
@settings(max_examples=200)
def test_a_reload_at_any_moment_changes_nothing(definition: Definition, script: Script) -> None:
    definition = without_broken_edges(definition)
    shell = Shell(definition, script)
    shell.go(reloads=True)
    assert shell.statuses == expect(definition, script).statuses


@given(definitions(), scripts())
@settings(max_examples=200)
def test_no_step_begins_before_its_join_is_satisfied(definition: Definition, script: Script) -> None:
    shell = Shell(definition, script)
    settled_before: dict[str, set[str]] = {}
    original = shell._step_changed

    def watch(change: StepChange) -> None:
        if change.status == "pending":
            settled_before[change.node.id] = set(shell.settled)
        original(change)

    shell._step_changed = watch  # type: ignore[method-assign]  # to see the moment
    shell.go()
    for node_id, settled in settled_before.items():
        sources = {edge.source for edge in definition.incoming[node_id]}
        if definition.by_id[node_id].join == "any":
            assert not sources or sources & settled
        else:
            assert sources <= settled


@given(definitions(), scripts())
@settings(max_examples=200)
def test_every_step_ends_once_and_limits_hold(definition: Definition, script: Script) -> None:
    shell = Shell(definition, script)
    shell.go()
    assert sorted(shell.settled) == sorted(node.id for node in definition.nodes)
    assert shell.most_running <= definition.config.max_concurrency


@given(definitions(), scripts(), st.integers(0, 12))
@settings(max_examples=200)
def test_cancelling_at_any_moment_ends_everything(definition: Definition, script: Script, moment: int) -> None:
    shell = Shell(definition, script)
    for _ in range(moment):
        shell.decide()
        if shell.state.ended or not shell.act():
            break
    if shell.state.ended:
        return
    shell.state.cancel_requested = True
    shell.decide()
    assert shell.state.status == "cancelled"
    assert set(shell.statuses.values()) <= set(ENDED_STEP_STATUSES)
    assert len(shell.statuses) == len(definition.nodes)
    assert next_wake(shell.state, shell.now) is None
    assert decide(shell.state, shell.now, evaluate).changes == []


@given(definitions(), scripts(), st.integers(0, 12))
@settings(max_examples=200)
def test_pausing_at_any_moment_begins_nothing(definition: Definition, script: Script, moment: int) -> None:
    definition = without_broken_edges(definition)
    shell = Shell(definition, script)
    for _ in range(moment):
        shell.decide()
        if shell.state.ended or not shell.act():
            break
    if shell.state.ended:
        return
    shell.state.pause_requested = True
    begun = list(shell.begun)
    for _ in range(50):
        shell.decide()
        if not shell.act():
            break
    assert shell.begun == begun
    shell.state.pause_requested = False
    if not shell.state.ended:
        shell.go()
    assert shell.statuses == expect(definition, script).statuses


@given(definitions(), scripts())
@settings(max_examples=100)
def test_lost_workers_change_nothing(definition: Definition, script: Script) -> None:
    """Each step's first worker is lost."""
    definition = without_broken_edges(definition)
    shell = Shell(definition, script)
    lost: set[str] = set()
    for _ in range(1000):
        shell.decide()
        if shell.state.ended:
            break
        running = [step for step in shell.state.live.values() if step.status == "running"]
        first = [step for step in running if step.node.id not in lost]
        if not first:
            assert shell.act()
            continue
        lost.update(step.node.id for step in first)
        shell.now += timedelta(seconds=9)
        for step in running:
            step.lease_expires_at = shell.now if step in first else shell.now + timedelta(seconds=8)
        shell.decide()
        assert all(step.status == "retrying" for step in first)
    assert shell.state.ended
    assert shell.statuses == expect(definition, script).statuses


# --- single rules -------------------------------------------------------------------------------------------------


def one_node(**fields: Any) -> RunState:
    return RunState(Definition(nodes=(Node(id="a", position=0, type="t", **fields),), edges=()))


def start(state: RunState) -> StepState:
    decide(state, NOW, evaluate)
    [step] = dispatchable(state, NOW)
    step.status, step.attempt, step.lease_expires_at = "running", 1, NOW + LATER
    return step


def test_an_edge_that_cannot_be_evaluated_fails_its_target() -> None:
    definition = Definition(
        nodes=(Node(id="a", position=0, type="t"), Node(id="b", position=1, type="t")),
        edges=(Edge(position=0, source="a", target="b", when=BROKEN),),
    )
    shell = Shell(definition, Script(frozenset(), {"a": None}, 1))
    shell.go()
    assert shell.statuses["b"] == "failed"
    assert shell.state.steps["b"].error == {"code": "expression_error", "message": "broken"}


def test_a_worker_lost_three_times_in_a_row_fails_the_step() -> None:
    state = one_node()
    decide(state, NOW, evaluate)
    for loss in range(1, MAX_LOST + 1):
        [step] = dispatchable(state, NOW + 10 * loss * LATER)
        step.status, step.attempt, step.lease_expires_at = "running", step.attempt + 1, NOW + 10 * loss * LATER + LATER
        decide(state, NOW + 10 * loss * LATER + 2 * LATER, evaluate)
    assert state.steps["a"].error is not None
    assert state.steps["a"].error["code"] == "worker_lost"
    assert state.status == "failed"


def test_a_wait_that_is_over_completes() -> None:
    state = one_node()
    step = start(state)
    step.status, step.available_at = "waiting", NOW + 5 * LATER
    decide(state, NOW, evaluate)
    assert state.status == "waiting"
    assert next_wake(state, NOW) == NOW + 5 * LATER
    found = decide(state, NOW + 5 * LATER, evaluate)
    assert state.status == "completed"
    assert [change.status for change in found.changes] == ["completed", "completed"]


def waiting(**fields: Any) -> RunState:
    """A run whose only step waits; `b` follows it on the branch `yes`."""
    definition = Definition(
        nodes=(Node(id="a", position=0, type="t"), Node(id="b", position=1, type="t")),
        edges=(Edge(position=0, source="a", target="b", when="yes"),),
    )
    state = RunState(definition)
    step = start(state)
    step.status, step.lease_expires_at = "waiting", None
    for name, value in fields.items():
        setattr(step, name, value)
    return state


def test_someone_outside_ends_a_wait() -> None:
    state = waiting(resolution=Verdict(status="completed", branch="yes"))
    decide(state, NOW, evaluate)
    assert state.steps["a"].branch == "yes"
    assert state.steps["b"].status == "pending"


def test_a_wait_can_end_in_failure() -> None:
    state = waiting(then=Verdict(status="failed", error={"code": "late"}), available_at=NOW)
    decide(state, NOW, evaluate)
    assert state.steps["a"].error == {"code": "late"}
    assert state.status == "failed"


@pytest.mark.parametrize(("branch", "status"), [("yes", "completed"), ("no", "failed")])
def test_a_branch_that_somebody_has_to_take(branch: str, status: str) -> None:
    verdict = Verdict(status="completed", branch=branch, otherwise={"code": "untaken"})
    state = waiting(resolution=verdict)
    decide(state, NOW, evaluate)
    assert state.steps["a"].status == status


def test_someone_outside_comes_before_the_time() -> None:
    state = waiting(
        resolution=Verdict(status="completed", branch="yes"),
        then=Verdict(status="failed", error={"code": "late"}),
        available_at=NOW,
    )
    decide(state, NOW, evaluate)
    assert state.steps["a"].status == "completed"


def test_a_run_waits_for_its_time() -> None:
    definition = Definition(nodes=(Node(id="a", position=0, type="t"),), edges=())
    state = RunState(definition, run_at=NOW + LATER)
    assert decide(state, NOW, evaluate).changes == []
    assert next_wake(state, NOW) == NOW + LATER
    decide(state, NOW + LATER, evaluate)
    assert state.status == "running"


def test_a_run_out_of_time_fails() -> None:
    state = RunState(
        Definition(nodes=(Node(id="a", position=0, type="t"),), edges=(), config=RunConfig(timeout_seconds=5))
    )
    start(state)
    state.live["a"].lease_expires_at = NOW + 100 * LATER
    assert next_wake(state, NOW) == NOW + 5 * LATER
    found = decide(state, NOW + 5 * LATER, evaluate)
    assert state.status == "failed"
    assert isinstance(found.changes[-1], RunChange)
    assert found.changes[-1].error == {"code": "timeout", "message": "The run exceeded its timeout."}
    assert state.steps["a"].status == "cancelled"


def test_priorities_go_first_then_the_definition_s_order() -> None:
    ranks = {"a": 0, "b": 5, "c": 0}
    nodes = tuple(Node(id=name, position=place, type="t", priority=ranks[name]) for place, name in enumerate(ranks))
    state = RunState(Definition(nodes=nodes, edges=(), config=RunConfig(max_concurrency=2)))
    decide(state, NOW, evaluate)
    assert [step.node.id for step in dispatchable(state, NOW)] == ["b", "a"]


@pytest.mark.parametrize(("before", "after"), list(product(RUN_STATUSES, RUN_STATUSES)))
def test_the_run_table_knows_every_pair(before: str, after: str) -> None:
    ended = ("completed", "failed", "cancelled")
    if after in RUN_TRANSITIONS[before]:
        assert before != after
        assert before not in ended or after in ("running", "waiting")  # only :retry leaves an end
    if before == "completed":
        assert after not in RUN_TRANSITIONS[before]


@pytest.mark.parametrize(("before", "after"), list(product(STEP_STATUSES, STEP_STATUSES)))
def test_the_step_table_knows_every_pair(before: str, after: str) -> None:
    if before == "completed":
        assert after not in STEP_TRANSITIONS[before]
    if before in ENDED_STEP_STATUSES and after in STEP_TRANSITIONS[before]:
        assert after == "pending"  # only :retry takes a step up again


@given(definitions(), scripts())
@settings(max_examples=200)
def test_only_transitions_of_the_tables_happen(definition: Definition, script: Script) -> None:
    shell = Shell(definition, script)
    seen: set[tuple[str, str]] = set()
    for _ in range(1000):
        before = {name: step.status for name, step in shell.state.steps.items()}
        shell.decide()
        seen |= {(before[name], step.status) for name, step in shell.state.steps.items() if name in before}
        if shell.state.ended:
            break
        shell.act()
    assert all(after == before or after in STEP_TRANSITIONS[before] for before, after in seen)
    assert all(after in RUN_TRANSITIONS[before] for before, after in pairwise(shell.run_statuses))
