"""Generated graphs, a second and naive reading of the machine's rules, and a shell that drives the machine."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from flowforge.kernel.definition import Definition, Edge, Node, RunConfig
from flowforge.kernel.dispatch import dispatchable
from flowforge.kernel.machine import EvaluationFailed, decide
from flowforge.kernel.runstate import RunChange, RunState, StepChange, StepState
from flowforge.kernel.states import ENDED_STEP_STATUSES

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = timedelta(seconds=1)
TRUE, FALSE, BROKEN = "{{ true }}", "{{ false }}", "{{ broken }}"


def evaluate(text: str, _source: StepState | None) -> bool:
    if text == BROKEN:
        raise EvaluationFailed("expression_error", "broken")
    return text == TRUE


# --- generated graphs ---------------------------------------------------------------------------------------------


@st.composite
def definitions(draw: st.DrawFn, max_nodes: int = 9) -> Definition:
    """Any graph without cycles, with every kind of edge, join, label and condition."""
    count = draw(st.integers(0, max_nodes))
    nodes = tuple(
        Node(
            id=f"n{place}",
            position=place,
            type="test",
            join=draw(st.sampled_from(["all", "any", "strict"])),
            when=draw(st.sampled_from([None, None, None, TRUE, FALSE, BROKEN])),
            on_error=draw(st.sampled_from(["fail", "fail", "continue"])),
            priority=draw(st.integers(-1, 1)),
        )
        for place in range(count)
    )
    pairs = [(source, target) for source in range(count) for target in range(source + 1, count)]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=14)) if pairs else []
    edges = tuple(
        Edge(
            position=place,
            source=f"n{source}",
            target=f"n{target}",
            on=draw(st.sampled_from(["success", "success", "failure", "always"])),
            when=draw(st.sampled_from([None, None, "left", "right", TRUE, FALSE, BROKEN])),
        )
        for place, (source, target) in enumerate(chosen)
    )
    return Definition(nodes=nodes, edges=edges, config=RunConfig(max_concurrency=draw(st.integers(1, 4))))


@dataclass(frozen=True)
class Script:
    """What each step will do, and in which order things happen."""

    fails: frozenset[str]
    branches: Mapping[str, str | None]
    seed: int


@st.composite
def scripts(draw: st.DrawFn) -> Script:
    names = [f"n{place}" for place in range(9)]
    return Script(
        fails=draw(st.frozensets(st.sampled_from(names))),
        branches={name: draw(st.sampled_from([None, "left", "right"])) for name in names},
        seed=draw(st.integers(0, 2**16)),
    )


# --- the second reading -------------------------------------------------------------------------------------------


@dataclass
class Expected:
    """The contract read naively: node by node in topological order, which here is the order of their numbers."""

    statuses: dict[str, str] = field(default_factory=dict)
    unhandled: list[str] = field(default_factory=list)


def expect(definition: Definition, script: Script) -> Expected:
    found = Expected()
    for node in definition.nodes:
        found.statuses[node.id] = _expect_node(definition, node, script, found)
    for node in definition.nodes:
        if found.statuses[node.id] == "failed" and node.on_error != "continue":
            taken = [
                _fires(edge, definition, script, found) for edge in definition.outgoing[node.id] if edge.on != "success"
            ]
            if not any(fired is True for fired in taken):
                found.unhandled.append(node.id)
    return found


def _expect_node(definition: Definition, node: Node, script: Script, found: Expected) -> str:
    verdicts = [_fires(edge, definition, script, found) for edge in definition.incoming[node.id]]
    if verdicts:
        fired = [verdict is True for verdict in verdicts]
        ready = {"all": any(fired), "any": any(fired), "strict": all(fired)}[node.join]
        if not ready:
            return "skipped"
    if node.when == BROKEN:
        return "failed"
    if node.when == FALSE:
        return "skipped"
    return "failed" if node.id in script.fails else "completed"


def _fires(edge: Edge, definition: Definition, script: Script, found: Expected) -> bool:
    status = found.statuses[edge.source]
    source = definition.by_id[edge.source]
    if status == "completed":
        applies = edge.on != "failure"
    elif status == "failed":
        applies = edge.on != "success" or source.on_error == "continue"
    else:
        applies = False
    if not applies or edge.when is None:
        return applies
    if edge.when in (TRUE, FALSE):
        return edge.when == TRUE
    # a step that failed, or never ran, has no branch
    return status == "completed" and edge.when == script.branches[edge.source]


def without_broken_edges(definition: Definition) -> Definition:
    """The second reading leaves out what an edge's broken expression does; a test of its own covers it."""
    edges = tuple(edge for edge in definition.edges if edge.when != BROKEN)
    return Definition(nodes=definition.nodes, edges=edges, config=definition.config)


# --- a shell around the machine -----------------------------------------------------------------------------------


class Shell:
    """Does what the driver does, without a database: starts what may start, settles in a random order."""

    def __init__(self, definition: Definition, script: Script) -> None:
        self.definition = definition
        self.script = script
        self.random = random.Random(script.seed)
        self.now = NOW
        self.state = RunState(definition)
        self.begun: list[str] = []
        self.settled: list[str] = []
        self.statuses: dict[str, str] = {}
        self.run_events: list[str] = []
        self.run_statuses = ["pending"]
        self.most_running = 0

    def decide(self) -> None:
        for change in decide(self.state, self.now, evaluate).changes:
            if isinstance(change, RunChange):
                self.run_events.append(change.event)
                self.run_statuses.append(change.status)
            else:
                self._step_changed(change)

    def _step_changed(self, change: StepChange) -> None:
        before = self.statuses.get(change.node.id)
        assert before not in ENDED_STEP_STATUSES, f"{change.node.id} was {before} already"
        self.statuses[change.node.id] = change.status
        if change.status == "pending":
            assert change.node.id not in self.begun
            self.begun.append(change.node.id)
        elif change.status in ENDED_STEP_STATUSES:
            self.settled.append(change.node.id)

    def act(self) -> bool:
        """Start what may start, or end one step; False if there is nothing to do."""
        due = dispatchable(self.state, self.now)
        running = [step for step in self.state.live.values() if step.status == "running"]
        if due and (not running or self.random.random() < 0.6):
            due[0].status = "running"
            due[0].attempt += 1
            due[0].lease_expires_at = self.now + timedelta(seconds=8)
            self.most_running = max(self.most_running, len(running) + 1)
            return True
        if running:
            self._settle(self.random.choice(running).node.id)
            return True
        return False

    def _settle(self, node_id: str) -> None:
        failed = node_id in self.script.fails
        status = "failed" if failed else "completed"
        branch = None if failed else self.script.branches[node_id]
        self.state.settle(node_id, status, now=self.now, branch=branch, error={"code": "x"} if failed else None)
        self.statuses[node_id] = status
        self.settled.append(node_id)

    def reload(self) -> None:
        """As after the death of the process: the machine sees only what was recorded."""
        old = self.state
        self.state = RunState(self.definition, status=old.status, started=old.started, deadline_at=old.deadline_at)
        self.state.cancel_requested, self.state.pause_requested = old.cancel_requested, old.pause_requested
        for step in old.steps.values():
            self.state.restore(step)

    def go(self, *, reloads: bool = False) -> None:
        for _ in range(1000):
            self.decide()
            if self.state.ended:
                return
            if reloads and self.random.random() < 0.4:
                self.reload()
                continue
            assert self.act(), "nothing to do, and yet the run goes on"
        raise AssertionError("the run does not end")
