"""Where nodes stand in a picture."""

from collections import defaultdict
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given

from flowforge.kernel.document import load
from flowforge.kernel.layout import NODE_HEIGHT, NODE_WIDTH, Layout, Placed, assign_layers, layout
from tests.support.definitions import definitions


def laid_out(*edges: str, nodes: str = "") -> Layout:
    """`laid_out("ab", "bc")`: nodes a, b, c and two edges."""
    ids = sorted({*nodes, *"".join(edges)})
    return layout(
        load(
            {
                "nodes": [{"id": node, "type": "t"} for node in ids],
                "edges": [{"source": a, "target": b} for a, b in edges],
            }
        )
    )


def by_id(drawn: Layout) -> dict[str, Placed]:
    return {node.id: node for node in drawn.nodes}


def test_it_works_on_a_diamond() -> None:
    drawn = laid_out("ab", "ac", "bd", "cd")
    at = by_id(drawn)
    assert [at[node].layer for node in "abcd"] == [0, 1, 1, 2]
    assert at["a"].x == at["d"].x == pytest.approx((at["b"].x + at["c"].x) / 2, abs=0.1)
    assert at["a"].y < at["b"].y == at["c"].y < at["d"].y
    assert [route.edge for route in drawn.routes] == [0, 1, 2, 3]


def test_nothing_is_a_small_empty_picture() -> None:
    drawn = layout(load({}))
    assert drawn.nodes == drawn.routes == ()
    assert drawn.width > 0
    assert drawn.height > 0


def test_layers_follow_the_longest_path() -> None:
    assert assign_layers(list("abcd"), [("a", "d"), ("a", "b"), ("b", "c"), ("c", "d")]) == {
        "a": 0,
        "b": 1,
        "c": 2,
        "d": 3,
    }


def test_crossings_are_taken_out() -> None:
    # drawn in the order of the definition, both edges would cross
    at = by_id(laid_out("ad", "bc", nodes="abcd"))
    assert (at["a"].x < at["b"].x) == (at["d"].x < at["c"].x)


def test_an_edge_over_several_layers_bends_around_what_stands_between() -> None:
    drawn = laid_out("ab", "bc", "ac")
    box = by_id(drawn)["b"]
    points = drawn.routes[2].points
    assert len(points) == 4
    assert all(not (box.x <= x <= box.x + NODE_WIDTH) for x, y in points if box.y <= y <= box.y + NODE_HEIGHT)


@given(definitions(max_nodes=14))
def test_every_node_is_placed_once_and_none_overlap(document: dict[str, Any]) -> None:
    definition = load(document)
    drawn = layout(definition)
    assert [node.id for node in drawn.nodes] == [node.id for node in definition.nodes]
    layers = defaultdict(list)
    for node in drawn.nodes:
        assert 0 <= node.x <= node.x + node.width <= drawn.width
        assert 0 <= node.y <= node.y + node.height <= drawn.height
        layers[node.y].append(node)
    for layer in layers.values():
        ordered = sorted(layer, key=lambda node: node.x)
        assert [node.order for node in ordered] == list(range(len(ordered)))
        assert all(left.x + left.width < right.x for left, right in pairwise(ordered))


@given(definitions(max_nodes=14))
def test_every_edge_leads_down_from_its_source_to_its_target(document: dict[str, Any]) -> None:
    definition = load(document)
    drawn = layout(definition)
    at = by_id(drawn)
    for edge, route in zip(definition.edges, drawn.routes, strict=True):
        source, target = at[edge.source], at[edge.target]
        assert route.points[0] == pytest.approx((source.x + NODE_WIDTH / 2, source.y + NODE_HEIGHT), abs=0.2)
        assert route.points[-1] == pytest.approx((target.x + NODE_WIDTH / 2, target.y), abs=0.2)
        assert all(upper[1] < lower[1] for upper, lower in pairwise(route.points))
    assert layout(definition) == drawn


def test_long_edges_without_end_are_drawn_straight() -> None:
    ids = [f"n{i}" for i in range(400)]
    edges = [*pairwise(ids), *((ids[0], node) for node in ids[2:])]  # 79,000 layers to cross
    definition = load(
        {"nodes": [{"id": node, "type": "t"} for node in ids], "edges": [{"source": a, "target": b} for a, b in edges]}
    )
    drawn = layout(definition)
    assert all(len(route.points) == 2 for route in drawn.routes)
    assert len(drawn.nodes) == 400
