"""Going over a list: whatever happens to items in whatever order, each is settled once, in bounds."""

import random
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowforge.kernel.definition import Definition, Each, Edge, Node, RunConfig
from flowforge.kernel.dispatch import dispatchable, next_wake
from flowforge.kernel.machine import decide
from flowforge.kernel.mapping import MapState, error_of
from flowforge.kernel.runstate import RunState, StepChange, StepState, Verdict, step_key
from flowforge.kernel.states import ENDED_STEP_STATUSES
from tests.support.machine import NOW, evaluate

SECOND = timedelta(seconds=1)
BOOM = {"code": "boom", "message": "it broke"}


def definition_of(*, own: int | None = None, goes_on: bool = False, most: int = 10) -> Definition:
    """A map, and a step after it."""
    item = Node(id="each", position=0, type="effect", is_item=True)
    each = Node(id="each", position=0, type="map", each=Each(step=item, max_concurrency=own, goes_on=goes_on))
    after = Node(id="after", position=1, type="effect")
    edges = (Edge(position=0, source="each", target="after"),)
    return Definition(nodes=(each, after), edges=edges, config=RunConfig(max_concurrency=most))


@dataclass
class Shell:
    """Does for a map what the driver does: opens it, runs its items, hands over what comes of it."""

    definition: Definition
    count: int
    fails: frozenset[int]
    seed: int
    cancel_after: int | None = None
    statuses: dict[str, str] = field(default_factory=dict)
    most_live: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.now = NOW
        self.state = RunState(self.definition)
        self.order: list[int] = []  # in which items began

    def go(self) -> None:
        for turn in range(50 * self.count + 50):
            self.state.cancel_requested = self.cancel_after is not None and turn >= self.cancel_after
            self._decide()
            if self.state.ended:
                return
            self._act()
        raise AssertionError("the run does not end")

    def _decide(self) -> None:
        found = decide(self.state, self.now, evaluate)
        for change in found.changes:
            if isinstance(change, StepChange):
                self._changed(change)
        for step in found.gathered:
            failed = self.state.maps["each"].failure is not None
            self._settle(step, "failed" if failed else "completed")
        if "each" in self.state.live and self.state.live["each"].status == "pending":
            self.state.live["each"].status, self.state.live["each"].available_at = "waiting", None
            self.state.maps["each"] = MapState.of(self.definition, "each", count=self.count)
        live = [step for step in self.state.live.values() if step.index is not None]
        self.most_live = max(self.most_live, len(live))

    def _changed(self, change: StepChange) -> None:
        before = self.statuses.get(change.key)
        assert before not in ENDED_STEP_STATUSES, f"{change.key} was {before} already"
        if before is None and change.index is not None:
            self.order.append(change.index)
        self.statuses[change.key] = change.status

    def _act(self) -> None:
        """Start what may start, then end, lose or bring back one step, or begin anew from what is recorded."""
        for step in dispatchable(self.state, self.now):
            step.status, step.attempt, step.lease_expires_at = "running", step.attempt + 1, self.now + 8 * SECOND
        running = [step for step in self.state.live.values() if step.status == "running"]
        chance = self.random.random()
        if chance < 0.15:
            self._restore()
        elif running and chance < 0.25:
            lost = self.random.choice(running)
            lost.lease_expires_at = self.now
            lost.lost_count = 0  # another worker each time, and none of them the third
        elif running:
            step = self.random.choice(running)
            self._settle(step, "failed" if step.index in self.fails else "completed")

    def _settle(self, step: StepState, status: str) -> None:
        assert self.statuses.get(step.key) not in ENDED_STEP_STATUSES
        self.statuses[step.key] = status
        self.state.settle(step.key, status, now=self.now, error=BOOM if status == "failed" else None)  # type: ignore[arg-type]  # a StepStatus

    def _restore(self) -> None:
        """As after the death of the process."""
        old = self.state
        self.state = RunState(self.definition, status=old.status, started=old.started)
        for step in [*old.steps.values(), *(each for each in old.live.values() if each.index is not None)]:
            self.state.restore(step)
        for node_id, each in old.maps.items():
            live = [step.index for step in self.state.live.values() if step.index is not None]
            self.state.maps[node_id] = MapState.of(
                self.definition, node_id, count=each.count, begun=each.begun, live=live, failure=each.failure
            )


@st.composite
def shells(draw: st.DrawFn, *, cancelled: bool = False) -> Shell:
    count = draw(st.integers(1, 12))
    return Shell(
        definition=definition_of(
            own=draw(st.none() | st.integers(1, 6)), goes_on=draw(st.booleans()), most=draw(st.integers(1, 6))
        ),
        count=count,
        fails=draw(st.frozensets(st.integers(0, count - 1), max_size=3)),
        seed=draw(st.integers(0, 2**16)),
        cancel_after=draw(st.integers(0, 30)) if cancelled else None,
    )


def test_it_works() -> None:
    each = MapState.of(definition_of(own=2), "each", count=5)
    assert list(each.take()) == [0, 1]
    assert list(each.take()) == []
    each.settle(1, None)
    assert list(each.take()) == [2]
    assert not each.is_over


def test_it_rejects_to_begin_more_after_a_failure() -> None:
    each = MapState.of(definition_of(own=2), "each", count=5)
    each.take()
    each.settle(1, BOOM)
    assert list(each.take()) == []
    assert not each.is_over
    each.settle(0, BOOM)
    assert each.is_over
    assert each.failure == (1, BOOM)
    assert error_of(each.failure) == {
        "code": "item_failed",
        "message": "Item 1 failed: it broke",
        "details": {"index": 1, "error": BOOM},
    }


@given(shells())
@settings(max_examples=300)
def test_every_item_is_settled_once(shell: Shell) -> None:
    shell.go()
    node = shell.definition.by_id["each"]
    goes_on = node.each is not None and node.each.goes_on
    items = {index: shell.statuses[step_key("each", index)] for index in shell.order}
    assert shell.order == sorted(shell.order)
    assert set(items.values()) <= set(ENDED_STEP_STATUSES)
    if goes_on or not shell.fails:
        assert items == {n: "failed" if n in shell.fails else "completed" for n in range(shell.count)}
        assert (shell.statuses["each"], shell.state.status) == ("completed", "completed")
    else:
        assert "failed" in items.values()
        assert (shell.statuses["each"], shell.statuses["after"], shell.state.status) == ("failed", "skipped", "failed")


@given(shells())
@settings(max_examples=100)
def test_its_limit_holds_within_the_runs(shell: Shell) -> None:
    node, most = shell.definition.by_id["each"], shell.definition.config.max_concurrency
    own = node.each.max_concurrency if node.each is not None else None
    shell.go()
    assert shell.most_live <= min(own or most, most)


@given(shells(cancelled=True))
@settings(max_examples=200)
def test_cancelling_leaves_nothing_alive(shell: Shell) -> None:
    shell.go()
    assert not shell.state.live
    assert not shell.state.maps
    assert set(shell.statuses.values()) <= set(ENDED_STEP_STATUSES)


def waiting_map(**fields: object) -> RunState:
    state = RunState(definition_of(), status="running", started=True)
    state.restore(StepState(node=state.definition.by_id["each"], status="waiting", **fields))  # type: ignore[arg-type]  # as the caller says
    state.maps["each"] = MapState.of(state.definition, "each", count=3)
    return state


@pytest.mark.parametrize("how", ["waited", "resolved"])
def test_a_map_that_ends_before_its_time_takes_its_items_along(how: str) -> None:
    state = waiting_map(available_at=NOW + SECOND)
    decide(state, NOW, evaluate)
    assert sorted(state.live) == ["each", "each[0]", "each[1]", "each[2]"]
    if how == "resolved":
        state.live["each"].resolution = Verdict(status="completed")
    found = decide(state, NOW + SECOND, evaluate)
    told = [(change.key, change.status) for change in found.changes if isinstance(change, StepChange)]
    assert told[:4] == [*((f"each[{n}]", "cancelled") for n in range(3)), ("each", "completed")]
    assert list(state.live) == ["after"]


def test_a_paused_run_begins_no_item() -> None:
    state = waiting_map()
    state.pause_requested = True
    decide(state, NOW, evaluate)
    assert list(state.live) == ["each"]


def test_a_run_waits_when_all_its_items_do() -> None:
    state = waiting_map()
    decide(state, NOW, evaluate)
    for step in state.live.values():
        step.status, step.available_at = "waiting", None
    decide(state, NOW, evaluate)
    assert state.status == "waiting"
    assert next_wake(state, NOW) is None


def test_a_rejection_within_an_item_has_no_edge_that_takes_it() -> None:
    state = waiting_map()
    decide(state, NOW, evaluate)
    item = state.live["each[0]"]
    item.status, item.resolution = "waiting", Verdict(status="completed", branch="rejected", otherwise=BOOM)
    decide(state, NOW, evaluate)
    assert item.status == "failed"
    assert state.maps == {} or state.maps["each"].failure == (0, BOOM)
