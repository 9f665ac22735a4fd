"""Random programs: workflows drawn from a seed, built of pieces whose results can be foretold.

Every piece is appended behind the loose ends ("tails") of the one before, so that a program is a graph that forks and
joins at will, with a few edges across. What it has to come to: tests/faults/prediction.py.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["noted", "sum", "condition", "delay", "approval", "wait_event", "map", "workflow"]
Join = Literal["all", "any", "strict"]
MODULUS = 9973  # sums stay small
EVENT = "faults.lane"
LANES = 4
EVENT_VALUE = 100  # an event on a lane carries this plus the lane


@dataclass(kw_only=True)
class Node:
    """A step as it was drawn."""

    id: str
    kind: Kind
    amount: int = 0  # what it adds; of a condition, its parity
    fail_times: int = 0  # attempts that fail
    attempts: int = 1  # that it may have
    seconds: float = 0.0
    on_error: Literal["fail", "continue"] = "fail"
    join: Join = "all"
    decision: str = "approved"  # of an approval
    items: list[int] = field(default_factory=list)  # of a map
    bad_items: int = 0  # how many of them fail
    child: "Program | None" = None

    @property
    def fails(self) -> bool:
        return self.fail_times >= self.attempts


@dataclass(frozen=True, kw_only=True)
class Edge:
    source: str
    target: str
    on: Literal["success", "failure", "always"] = "success"
    when: str | None = None


@dataclass(kw_only=True)
class Program:
    seed: int
    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    max_concurrency: int = 10

    def incoming(self, node: Node) -> list[Edge]:
        return [edge for edge in self.edges if edge.target == node.id]

    def outgoing(self, node: Node) -> list[Edge]:
        return [edge for edge in self.edges if edge.source == node.id]

    def node(self, node_id: str) -> Node:
        return next(node for node in self.nodes if node.id == node_id)

    @property
    def children(self) -> list["Program"]:
        return [node.child for node in self.nodes if node.child is not None]

    def adds(self, node: Node) -> bool:
        """Whether the node adds up what its sources gave: one that starts before they have ended can't know it."""
        return node.join != "any" and node.kind in ("noted", "sum")


Tail = dict[str, Any]  # how the next node is tied to a loose end: source, on, when


def draw(seed: int, *, depth: int = 0, calm: bool = False) -> Program:
    """The program of a seed: 3 to 20 nodes. `calm`: nothing that waits for someone outside."""
    return _Draughtsman(random.Random(f"program {seed} {depth}"), seed, depth, calm).draw()


class _Draughtsman:
    def __init__(self, chance: random.Random, seed: int, depth: int, calm: bool) -> None:
        self._chance = chance
        self._depth = depth
        self._program = Program(seed=seed, max_concurrency=chance.choice((1, 2, 10, 10)))
        self._size = chance.randint(3, 6 if depth else 14)
        pieces: list[tuple[int, Callable[[list[Tail]], list[Tail]]]] = [
            (6, self._step),
            (3, self._sum),
            (3, self._retried),
            (3, self._fan),
            (3, self._branch),
            (2, self._delay),
            (2, self._handled),
            (1, self._tolerated),
            (1, self._unhandled),
            (2, self._map),
        ]
        if not calm:
            pieces += [(1, self._approval), (1, self._event)]
        if depth == 0:
            pieces.append((2, self._workflow))
        self._weights, self._pieces = zip(*pieces, strict=True)

    def draw(self) -> Program:
        tails = self._step([])
        while len(self._program.nodes) < self._size:
            [piece] = self._chance.choices(self._pieces, self._weights)
            tails = piece(tails)
        if len(tails) > 1:
            self._sum(tails)
        self._tie_across()
        return self._program

    # --- pieces: from loose ends to loose ends ----------------------------------------------------------------------

    def _step(self, tails: list[Tail]) -> list[Tail]:
        return [self._put("noted", tails, amount=self._amount(), seconds=self._seconds())]

    def _sum(self, tails: list[Tail]) -> list[Tail]:
        return [self._put("sum", tails, amount=self._amount())]

    def _retried(self, tails: list[Tail]) -> list[Tail]:
        times = self._chance.randint(1, 3)
        return [self._put("noted", tails, amount=self._amount(), fail_times=times, attempts=times + 1)]

    def _fan(self, tails: list[Tail]) -> list[Tail]:
        arms = [self._step(tails)[0] for _ in range(self._chance.randint(2, 5))]
        if self._chance.random() < 0.3:
            arms[0] = self._delay([arms[0]])[0]
        join: Join = self._chance.choice(("all", "all", "strict", "any"))
        return [self._put("noted", arms, amount=self._amount(), join=join)]

    def _branch(self, tails: list[Tail]) -> list[Tail]:
        choice = self._put("condition", tails, amount=self._chance.randint(0, 1))
        arms = [self._step([{**choice, "when": label}])[0] for label in ("true", "false")]
        return [self._put("noted", arms, amount=self._amount())]

    def _delay(self, tails: list[Tail]) -> list[Tail]:
        return [self._put("delay", tails, seconds=self._chance.choice((0.05, 0.2, 0.6)))]

    def _handled(self, tails: list[Tail]) -> list[Tail]:
        """It fails; one arm is for that, the other never taken."""
        broken = self._broken(tails)
        on = self._chance.choice(("failure", "always"))
        caught = self._step([{**broken, "on": on}])[0]
        missed = self._step([broken])[0]
        return [self._put("noted", [caught, missed], amount=self._amount())]

    def _tolerated(self, tails: list[Tail]) -> list[Tail]:
        return [self._broken(tails, on_error="continue")]

    def _unhandled(self, tails: list[Tail]) -> list[Tail]:
        """A side arm that fails: the rest goes on, and then the run fails."""
        if self._depth == 0 and self._chance.random() < 0.5:
            self._step([self._broken(tails)])
        return self._step(tails)

    def _map(self, tails: list[Tail]) -> list[Tail]:
        items = [self._amount() for _ in range(self._chance.randint(1, 8))]
        bad = self._chance.choice((0, 0, 0, 1))
        return [self._put("map", tails, items=items, bad_items=min(bad, len(items) - 1))]

    def _approval(self, tails: list[Tail]) -> list[Tail]:
        decision = self._chance.choice(("approved", "rejected"))
        asked = self._put("approval", tails, decision=decision)
        arms = [self._step([{**asked, "when": label}])[0] for label in ("approved", "rejected")]
        return [self._put("noted", arms, amount=self._amount())]

    def _event(self, tails: list[Tail]) -> list[Tail]:
        return [self._put("wait_event", tails)]

    def _workflow(self, tails: list[Tail]) -> list[Tail]:
        child = draw(self._chance.randrange(1_000_000), depth=self._depth + 1, calm=True)
        return [self._put("workflow", tails, child=child)]

    def _broken(self, tails: list[Tail], on_error: Literal["fail", "continue"] = "fail") -> Tail:
        attempts = self._chance.randint(1, 2)
        return self._put("noted", tails, fail_times=99, attempts=attempts, on_error=on_error)

    # --- strokes ----------------------------------------------------------------------------------------------------

    def _put(self, kind: Kind, tails: list[Tail], **more: Any) -> Tail:
        node = Node(id=f"n{len(self._program.nodes)}", kind=kind, **more)
        self._program.nodes.append(node)
        self._program.edges += [Edge(target=node.id, **tail) for tail in tails]
        return {"source": node.id}

    def _tie_across(self) -> None:
        """A few edges from steps to later ones that wait for all: joins that no piece has thought of."""
        nodes = self._program.nodes
        tied = {(edge.source, edge.target) for edge in self._program.edges}
        for _ in range(self._chance.randint(0, len(nodes) // 5)):
            first, second = sorted(self._chance.sample(range(len(nodes)), 2))
            source, target = nodes[first], nodes[second]
            fit = source.kind in ("noted", "sum") and target.kind in ("noted", "sum") and target.join == "all"
            if fit and self._program.incoming(target) and (source.id, target.id) not in tied:
                tied.add((source.id, target.id))
                self._program.edges.append(Edge(source=source.id, target=target.id))

    def _amount(self) -> int:
        return self._chance.randint(1, 99)

    def _seconds(self) -> float:
        return self._chance.choice((0, 0, 0, 0.02, 0.05, 0.3, 1.0))
