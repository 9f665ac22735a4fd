"""Where the nodes of a graph stand in its picture: a layered layout, top to bottom.

After Sugiyama, Tagawa and Toda (1981): layers by the longest path from a root, crossings thinned out by barycentre
sweeps, places by a least-squares fit that keeps nodes apart. An edge over several layers bends around what stands
between by way of a place of its own in each. The work is bounded: large graphs get fewer sweeps and straight edges.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from flowforge.kernel.definition import Definition
from flowforge.kernel.graph import edges_of, ids_of, successors, topological_order

NODE_WIDTH: Final = 180.0
NODE_HEIGHT: Final = 44.0
GAP_X: Final = 28.0
GAP_Y: Final = 56.0
MARGIN: Final = 24.0

_BEND_WIDTH = 8.0  # what an edge takes of a layer that it only crosses
_MAX_BENDS = 20_000  # over all edges; beyond, long edges are drawn straight
_SWEEP_WORK = 400_000  # places looked at while ordering, and again while placing

Key = tuple[str, int, int]
"""A place within a layer: a node's (id, -1, layer), or an edge's on its way ("", edge, layer)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """A node: its box by the upper left corner, in pixels."""

    id: str
    layer: int  # from 0 at the top
    order: int  # within its layer, from 0 at the left
    x: float
    y: float
    width: float = NODE_WIDTH
    height: float = NODE_HEIGHT


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """An edge: a polyline from the lower side of its source to the upper side of its target."""

    edge: int  # its place in the definition
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    nodes: tuple[Placed, ...]  # in the order of the definition
    routes: tuple[Route, ...]
    width: float
    height: float


def layout(definition: Definition) -> Layout:
    """The places of all nodes and edges of a definition; the same for the same definition."""
    layers_of = assign_layers(ids_of(definition), edges_of(definition))
    links = _links(definition, layers_of)
    layers = _order(_fill_layers(definition, layers_of, links), links)
    centres = _centres(layers, links)
    return _draw(definition, layers_of, layers, links, centres)


def assign_layers(ids: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The layer of each node of an acyclic graph: the number of edges on the longest path to it."""
    following = successors(ids, edges)
    layers = dict.fromkeys(ids, 0)
    for node in topological_order(ids, edges):
        for target in following[node]:
            layers[target] = max(layers[target], layers[node] + 1)
    return layers


@dataclass(frozen=True, slots=True)
class _Links:
    paths: Sequence[Sequence[Key]]  # by edge: the places that it joins, from source to target
    above: Mapping[Key, Sequence[Key]]
    below: Mapping[Key, Sequence[Key]]


def _links(definition: Definition, layers: Mapping[str, int]) -> _Links:
    bends = sum(layers[edge.target] - layers[edge.source] - 1 for edge in definition.edges)
    paths: list[list[Key]] = []
    for index, edge in enumerate(definition.edges):
        first, last = layers[edge.source], layers[edge.target]
        between = range(first + 1, last) if bends <= _MAX_BENDS else ()
        paths.append([(edge.source, -1, first), *(("", index, layer) for layer in between), (edge.target, -1, last)])
    above: dict[Key, list[Key]] = {}
    below: dict[Key, list[Key]] = {}
    for path in paths:
        for upper, lower in pairwise(path):
            below.setdefault(upper, []).append(lower)
            above.setdefault(lower, []).append(upper)
    return _Links(paths, above, below)


def _fill_layers(definition: Definition, layers_of: Mapping[str, int], links: _Links) -> list[list[Key]]:
    """The places of each layer; nodes in the order of the definition, which its author chose for a reason."""
    layers: list[list[Key]] = [[] for _ in range(max(layers_of.values(), default=-1) + 1)]
    for node in definition.nodes:
        layers[layers_of[node.id]].append((node.id, -1, layers_of[node.id]))
    for path in links.paths:
        for place in path[1:-1]:
            layers[place[2]].append(place)
    return layers


def _sweeps(layers: Sequence[Sequence[Key]], links: _Links, most: int) -> int:
    work = sum(map(len, layers)) + 2 * sum(map(len, links.below.values()))
    return max(1, min(most, _SWEEP_WORK // max(1, work)))


def _order(layers: list[list[Key]], links: _Links) -> list[list[Key]]:
    """Each layer sorted so that few edges cross: by the mean place of the neighbours, down and up in turn."""
    best, fewest = layers, _crossings(layers, links)
    for sweep in range(_sweeps(layers, links, 12)):
        if not fewest:
            break
        layers = _sweep(layers, links.above if sweep % 2 == 0 else links.below, down=sweep % 2 == 0)
        crossings = _crossings(layers, links)
        if crossings < fewest:
            best, fewest = layers, crossings
    return best


def _sweep(layers: list[list[Key]], neighbours: Mapping[Key, Sequence[Key]], *, down: bool) -> list[list[Key]]:
    done: list[list[Key]] = []
    place: dict[Key, int] = {}
    for layer in layers if down else reversed(layers):
        means = {
            key: sum(place[other] for other in near) / len(near) if (near := _known(neighbours, key, place)) else index
            for index, key in enumerate(layer)
        }
        ordered = sorted(layer, key=means.__getitem__)
        place.update((key, index) for index, key in enumerate(ordered))
        done.append(ordered)
    return done if down else done[::-1]


def _known(neighbours: Mapping[Key, Sequence[Key]], key: Key, place: Mapping[Key, int]) -> list[Key]:
    """The neighbours that the sweep has been at: all, except those of straight edges over several layers."""
    return [other for other in neighbours.get(key, ()) if other in place]


def _crossings(layers: Sequence[Sequence[Key]], links: _Links) -> int:
    """How many pairs of edges between neighbouring layers cross (Barth, Jünger and Mutzel: inversions of a list)."""
    total = 0
    for layer, following in pairwise(layers):
        place = {key: index for index, key in enumerate(following)}
        ends: list[int] = []
        for key in layer:
            ends += sorted(place[other] for other in links.below.get(key, ()) if other in place)
        total += _inversions(ends, len(following))
    return total


def _inversions(numbers: Sequence[int], size: int) -> int:
    """Pairs in the wrong order, counted with a Fenwick tree over 0..size-1."""
    tree = [0] * (size + 1)
    found = 0
    for seen, number in enumerate(numbers):
        smaller, at = 0, number + 1
        while at:
            smaller += tree[at]
            at &= at - 1
        found += seen - smaller
        at = number + 1
        while at <= size:
            tree[at] += 1
            at += at & -at
    return found


def _centres(layers: Sequence[Sequence[Key]], links: _Links) -> dict[Key, float]:
    """The horizontal centre of each place: near its neighbours, in its layer's order, apart from the next."""
    centres: dict[Key, float] = {}
    for layer in layers:
        _place_layer(layer, centres, lambda _: 0.0)
    for sweep in range(_sweeps(layers, links, 8)):
        neighbours = links.above if sweep % 2 == 0 else links.below

        def wanted(key: Key, neighbours: Mapping[Key, Sequence[Key]] = neighbours) -> float:
            near = neighbours.get(key)
            return sum(centres[other] for other in near) / len(near) if near else centres[key]

        for layer in layers if sweep % 2 == 0 else reversed(layers):
            _place_layer(layer, centres, wanted)
    leftmost = min((centre - _width(key) / 2 for key, centre in centres.items()), default=0.0)
    return {key: centre - leftmost + MARGIN for key, centre in centres.items()}


def _place_layer(layer: Sequence[Key], centres: dict[Key, float], wanted: Callable[[Key], float]) -> None:
    """Give each place the centre closest to the wanted one that keeps the layer's order and distances."""
    offsets: list[float] = []
    for index, key in enumerate(layer):
        step = (_width(layer[index - 1]) + _width(key)) / 2 + GAP_X if index else 0.0
        offsets.append(offsets[-1] + step if index else 0.0)
    fitted = _isotonic([wanted(key) - offset for key, offset in zip(layer, offsets, strict=True)])
    for key, offset, place in zip(layer, offsets, fitted, strict=True):
        centres[key] = offset + place


def _isotonic(wishes: Iterable[float]) -> list[float]:
    """The non-falling numbers with the least squared distance to `wishes` (pool adjacent violators)."""
    pools: list[tuple[float, int]] = []  # (sum, count); means rise from pool to pool
    for wish in wishes:
        total, count = wish, 1
        while pools and pools[-1][0] / pools[-1][1] > total / count:
            before, size = pools.pop()
            total, count = total + before, count + size
        pools.append((total, count))
    return [total / count for total, count in pools for _ in range(count)]


def _width(key: Key) -> float:
    return NODE_WIDTH if key[1] < 0 else _BEND_WIDTH


def _draw(
    definition: Definition,
    layers_of: Mapping[str, int],
    layers: Sequence[Sequence[Key]],
    links: _Links,
    centres: Mapping[Key, float],
) -> Layout:
    order = {key: index for layer in layers for index, key in enumerate(key for key in layer if key[1] < 0)}
    nodes = []
    for node in definition.nodes:
        key = (node.id, -1, layers_of[node.id])
        x, y = centres[key] - NODE_WIDTH / 2, _top(key[2])
        nodes.append(Placed(id=node.id, layer=key[2], order=order[key], x=round(x, 1), y=y))
    routes = [Route(edge=index, points=_points(path, centres)) for index, path in enumerate(links.paths)]
    right = max((centre + _width(key) / 2 for key, centre in centres.items()), default=MARGIN)
    bottom = _top(len(layers) - 1) + NODE_HEIGHT if layers else MARGIN
    return Layout(nodes=tuple(nodes), routes=tuple(routes), width=round(right + MARGIN, 1), height=bottom + MARGIN)


def _top(layer: int) -> float:
    return MARGIN + layer * (NODE_HEIGHT + GAP_Y)


def _points(path: Sequence[Key], centres: Mapping[Key, float]) -> tuple[tuple[float, float], ...]:
    """From box to box, straight through each layer between, where the edge has a place of its own."""
    points = [(round(centres[path[0]], 1), _top(path[0][2]) + NODE_HEIGHT)]
    for bend in path[1:-1]:
        x = round(centres[bend], 1)
        points += [(x, _top(bend[2])), (x, _top(bend[2]) + NODE_HEIGHT)]
    points.append((round(centres[path[-1]], 1), _top(path[-1][2])))
    return tuple(points)
