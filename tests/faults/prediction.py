"""What a program has to come to, worked out from the program alone: no line of FlowForge takes part.

The rules are those of the manual (docs/state-machine.md), applied once to each node, in the order of the graph.
"""

from dataclasses import dataclass, field
from typing import Any

from tests.faults.programs import EVENT_VALUE, MODULUS, Edge, Node, Program


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What one run of a program is given."""

    token: str  # its own, among all that are offered
    lane: int
    x: int

    def for_child(self, node_id: str) -> "Inputs":
        return Inputs(token=f"{self.token}/{node_id}", lane=self.lane, x=self.x)

    def as_json(self) -> dict[str, Any]:
        return {"token": self.token, "lane": self.lane, "x": self.x}


@dataclass(kw_only=True)
class Fate:
    """How a node ends."""

    status: str
    value: int = 0  # what it contributes to those behind it, and to the total
    branch: str | None = None
    attempts: int = 0


@dataclass(kw_only=True)
class Prediction:
    status: str
    total: int | None  # None: a run that fails has no outputs
    fates: dict[str, Fate]
    effects: dict[tuple[str, int], int] = field(default_factory=dict)  # (node, item or -1) -> attempts
    children: dict[str, "Prediction"] = field(default_factory=dict)  # by node


def predict(program: Program, inputs: Inputs) -> Prediction:
    found = Prediction(status="completed", total=None, fates={})
    for node in program.nodes:  # drawn in an order of the graph
        found.fates[node.id] = _fate(program, node, inputs, found)
    if any(_is_unhandled(program, node, found.fates) for node in program.nodes):
        found.status = "failed"
    else:
        found.total = sum(fate.value for fate in found.fates.values()) % MODULUS
    return found


def _fate(program: Program, node: Node, inputs: Inputs, found: Prediction) -> Fate:
    fired = [_fires(program, edge, found.fates) for edge in program.incoming(node)]
    if fired and not (all(fired) if node.join == "strict" else any(fired)):
        return Fate(status="skipped")
    given = sum(found.fates[edge.source].value for edge in program.incoming(node))
    if node.kind in ("noted", "sum"):
        return _worked(program, node, given, found)
    if node.kind == "condition":
        return Fate(status="completed", branch="true" if (inputs.x + node.amount) % 2 == 0 else "false")
    if node.kind == "approval":
        return Fate(status="completed", branch=node.decision, value=1 if node.decision == "approved" else 0)
    if node.kind == "wait_event":
        return Fate(status="completed", value=EVENT_VALUE + inputs.lane)
    if node.kind == "map":
        found.effects |= {(node.id, index): 1 for index in range(len(node.items))}
        return Fate(status="completed", value=sum(node.items[node.bad_items :]))
    if node.kind == "workflow":
        assert node.child is not None
        child = found.children[node.id] = predict(node.child, inputs.for_child(node.id))
        return Fate(status="completed" if child.status == "completed" else "failed", value=child.total or 0)
    return Fate(status="completed")


def _worked(program: Program, node: Node, given: int, found: Prediction) -> Fate:
    attempts = min(node.fail_times + 1, node.attempts)
    if node.kind == "noted":
        found.effects[(node.id, -1)] = attempts
    if node.fails:
        return Fate(status="failed", attempts=attempts)
    value = (node.amount + (given if program.adds(node) else 0)) % MODULUS
    return Fate(status="completed", value=value, attempts=attempts)


def _fires(program: Program, edge: Edge, fates: dict[str, Fate]) -> bool:
    source, fate = program.node(edge.source), fates[edge.source]
    if fate.status == "skipped":
        return False
    if fate.status == "failed":
        return edge.on != "success" or source.on_error == "continue"
    return edge.on != "failure" and edge.when in (None, fate.branch)


def _is_unhandled(program: Program, node: Node, fates: dict[str, Fate]) -> bool:
    if fates[node.id].status != "failed" or node.on_error == "continue":
        return False
    return not any(edge.on != "success" for edge in program.outgoing(node))
