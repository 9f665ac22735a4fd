"""Questions about a graph, answered for 10,000 nodes in milliseconds. Iterative: a long chain overflows no stack.

A graph is (ids, edges): node ids in their order and (source, target) pairs between them.
"""

from collections import deque
from collections.abc import Iterable, Sequence

from flowforge.kernel.definition import Definition

Pair = tuple[str, str]


def edges_of(definition: Definition) -> list[Pair]:
    """The definition's edges as pairs, in their order."""
    return [(edge.source, edge.target) for edge in definition.edges]


def ids_of(definition: Definition) -> list[str]:
    """The definition's node ids, in their order."""
    return [node.id for node in definition.nodes]


def roots(definition: Definition) -> list[str]:
    """Nodes that nothing precedes: where a run begins."""
    return [node.id for node in definition.nodes if not definition.incoming[node.id]]


def sinks(definition: Definition) -> list[str]:
    """Nodes that nothing follows: their outputs are the run's, unless the definition says otherwise."""
    return [node.id for node in definition.nodes if not definition.outgoing[node.id]]


def topological_order(ids: Sequence[str], edges: Iterable[Pair]) -> list[str]:
    """Each node after all that lead to it (Kahn's algorithm), breadth first; without nodes on or behind a cycle."""
    following = successors(ids, edges)
    waiting = dict.fromkeys(ids, 0)
    for targets in following.values():
        for target in targets:
            waiting[target] += 1
    ready = deque(node for node in ids if not waiting[node])
    order: list[str] = []
    while ready:
        node = ready.popleft()
        order.append(node)
        for target in following[node]:
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    return order


def find_cycle(ids: Sequence[str], edges: Iterable[Pair]) -> list[str] | None:
    """The nodes of one cycle in the order of its edges (the last leads to the first), or None."""
    pairs = list(edges)
    left = set(ids) - set(topological_order(ids, pairs))
    if not left:
        return None
    # Each node that Kahn's algorithm left over has a predecessor that was left over too: walk back until one repeats.
    previous = {target: source for source, target in pairs if source in left and target in left}
    place: dict[str, int] = {}
    path: list[str] = []
    node = next(node for node in ids if node in left)
    while node not in place:
        place[node] = len(path)
        path.append(node)
        node = previous[node]
    return path[place[node] :][::-1]


def find_cycles(ids: Sequence[str], edges: Iterable[Pair], limit: int) -> list[list[str]]:
    """Up to `limit` cycles that share no edge: taking one edge of each away leaves fewer knots to untie."""
    pairs = list(edges)
    found: list[list[str]] = []
    while len(found) < limit and (cycle := find_cycle(ids, pairs)):
        found.append(cycle)
        used = set(zip(cycle, cycle[1:] + cycle[:1], strict=True))
        pairs = [pair for pair in pairs if pair not in used]
    return found


def successors(ids: Sequence[str], edges: Iterable[Pair]) -> dict[str, list[str]]:
    """Targets by source; nodes without one too."""
    found: dict[str, list[str]] = {node: [] for node in ids}
    for source, target in edges:
        found[source].append(target)
    return found


class Upstream:
    """Who comes before whom. A node's ancestors are the bits of one integer, so that joining two sets is one OR."""

    def __init__(self, ids: Sequence[str], edges: Iterable[Pair]) -> None:
        """Of an acyclic graph; what lies on or behind a cycle knows only part of its ancestors."""
        pairs = list(edges)
        self._bit = {node: index for index, node in enumerate(ids)}
        self._ancestors = dict.fromkeys(ids, 0)
        following = successors(ids, pairs)
        for node in topological_order(ids, pairs):
            known = self._ancestors[node] | (1 << self._bit[node])
            for target in following[node]:
                self._ancestors[target] |= known

    def is_upstream(self, ancestor: str, node: str) -> bool:
        """Whether a path of edges leads from `ancestor` to `node`; False of a node and itself."""
        return bool(self._ancestors[node] >> self._bit[ancestor] & 1)

    def of(self, node: str) -> list[str]:
        """The ancestors of a node, in the order of the graph's ids."""
        return [other for other in self._bit if self.is_upstream(other, node)]
