"""Questions about graphs."""

import time
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.kernel import graph
from flowforge.kernel.document import load

IDS = [f"n{i}" for i in range(8)]
EDGES = st.lists(st.tuples(st.sampled_from(IDS), st.sampled_from(IDS)), max_size=20)
DIAMOND = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]


def reachable(start: str, edges: Sequence[tuple[str, str]]) -> set[str]:
    """What lies behind `start`, found the slow way."""
    found: set[str] = set()
    while more := {target for source, target in edges if source in {start, *found}} - found:
        found |= more
    return found


def test_it_works_on_a_diamond() -> None:
    ids = ["d", "c", "b", "a"]
    assert graph.topological_order(ids, DIAMOND) == ["a", "b", "c", "d"]
    assert graph.find_cycle(ids, DIAMOND) is None
    upstream = graph.Upstream(ids, DIAMOND)
    assert upstream.of("d") == ["c", "b", "a"]
    assert upstream.is_upstream("a", "d")
    assert not upstream.is_upstream("d", "a")
    assert not upstream.is_upstream("b", "c")


def test_it_rejects_cycles_by_naming_their_nodes_in_order() -> None:
    edges = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "b"), ("d", "e")]
    cycle = graph.find_cycle(["e", "a", "b", "c", "d"], edges)
    assert cycle is not None
    assert sorted(cycle) == ["b", "c", "d"]
    assert all(pair in edges for pair in pairwise([*cycle, cycle[0]]))


def test_find_cycles_names_several() -> None:
    edges = [("a", "b"), ("b", "a"), ("c", "d"), ("d", "c")]
    assert sorted(sorted(cycle) for cycle in graph.find_cycles(["a", "b", "c", "d"], edges, 10)) == [
        ["a", "b"],
        ["c", "d"],
    ]
    assert len(graph.find_cycles(["a", "b", "c", "d"], edges, 1)) == 1


def test_roots_and_sinks_of_a_definition() -> None:
    nodes = [{"id": node, "type": "t"} for node in "abcde"]
    definition = load({"nodes": nodes, "edges": [{"source": a, "target": b} for a, b in DIAMOND]})
    assert graph.roots(definition) == ["a", "e"]
    assert graph.sinks(definition) == ["d", "e"]
    assert graph.edges_of(definition) == DIAMOND
    assert graph.ids_of(definition) == list("abcde")


@given(EDGES)
def test_a_cycle_is_found_exactly_where_there_is_one(edges: list[tuple[str, str]]) -> None:
    cycle = graph.find_cycle(IDS, edges)
    has_one = any(node in reachable(node, edges) for node in IDS)
    assert (cycle is not None) == has_one
    if cycle is not None:
        assert all(pair in edges for pair in pairwise([*cycle, cycle[0]]))
    assert (len(graph.topological_order(IDS, edges)) == len(IDS)) != has_one


@given(EDGES)
def test_the_order_and_the_ancestors_agree_with_the_slow_way(edges: list[tuple[str, str]]) -> None:
    acyclic = [(min(pair), max(pair)) for pair in edges if pair[0] != pair[1]]
    order = graph.topological_order(IDS, acyclic)
    assert all(order.index(source) < order.index(target) for source, target in acyclic)
    upstream = graph.Upstream(IDS, acyclic)
    for node in IDS:
        assert {other for other in IDS if upstream.is_upstream(node, other)} == reachable(node, acyclic)


@pytest.mark.parametrize("shape", ["chain", "fan"])
def test_ten_thousand_nodes_overflow_no_stack_and_take_no_time(shape: str) -> None:
    ids = [str(i) for i in range(10_000)]
    edges = list(pairwise(ids)) if shape == "chain" else [("0", node) for node in ids[1:]]
    begun = time.process_time()
    assert graph.Upstream(ids, edges).is_upstream("0", "9999")
    assert graph.find_cycle(ids, edges) is None
    # a thousand times more than it takes: a quadratic algorithm would need minutes
    assert time.process_time() - begun < 10
