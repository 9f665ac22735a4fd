"""Which steps a retry takes up again."""

import pytest

from flowforge.kernel.definition import Definition, Edge, Node
from flowforge.kernel.retaking import downstream, taken_up
from flowforge.kernel.runstate import StepState
from tests.support.machine import BROKEN, FALSE, TRUE, evaluate


def graph(*edges: tuple[str, str, dict[str, str]], on_error: dict[str, str] | None = None) -> Definition:
    """Nodes in the order of the letters, and (source, target, more) edges."""
    names = sorted({name for source, target, _ in edges for name in (source, target)})
    nodes = (
        Node(id=name, position=place, type="test", on_error=(on_error or {}).get(name, "fail"))  # type: ignore[arg-type]
        for place, name in enumerate(names)
    )
    return Definition(
        nodes=tuple(nodes),
        edges=tuple(
            Edge(position=place, source=source, target=target, **more)  # type: ignore[arg-type]
            for place, (source, target, more) in enumerate(edges)
        ),
    )


def again(definition: Definition, **statuses: str) -> str:
    """The nodes that are taken up, as letters."""
    steps = {
        name: StepState(node=definition.by_id[name], status=status)  # type: ignore[arg-type]
        for name, status in statuses.items()
    }
    return "".join(node.id for node in taken_up(definition, steps, evaluate))


CHAIN = graph(("a", "b", {}), ("b", "c", {}), ("c", "d", {}))


def test_it_works() -> None:
    assert again(CHAIN, a="completed", b="failed", c="skipped", d="skipped") == "bcd"


def test_what_was_cancelled_or_never_had_a_row_is_taken_up() -> None:
    assert again(CHAIN, a="completed", b="cancelled", c="cancelled") == "bcd"


def test_nothing_is_taken_up_where_all_is_done() -> None:
    assert again(CHAIN, a="completed", b="completed", c="completed", d="completed") == ""


@pytest.mark.parametrize(
    ("edge", "expected"),
    [
        ({"on": "failure"}, ""),
        ({"on": "always"}, ""),
        ({"on": "failure", "when": TRUE}, ""),
        ({"on": "failure", "when": FALSE}, "ab"),
        ({"on": "failure", "when": BROKEN}, "ab"),
        ({"on": "failure", "when": "label"}, "ab"),
        ({"on": "success"}, "ab"),
    ],
)
def test_a_failure_is_kept_if_an_edge_has_taken_it(edge: dict[str, str], expected: str) -> None:
    definition = graph(("a", "b", edge))
    assert again(definition, a="failed", b="skipped" if expected else "completed") == expected


def test_a_failure_that_is_tolerated_is_kept() -> None:
    definition = graph(("a", "b", {}), ("c", "d", {}), on_error={"a": "continue"})
    assert again(definition, a="failed", b="completed", c="failed", d="skipped") == "cd"


def test_what_was_skipped_behind_what_is_kept_stays_so() -> None:
    definition = graph(("a", "b", {"on": "failure"}), ("b", "c", {}), ("x", "y", {}))
    assert again(definition, a="completed", b="skipped", c="skipped", x="failed", y="skipped") == "xy"


def test_what_has_completed_behind_a_failure_is_kept_with_what_follows() -> None:
    definition = graph(("a", "c", {}), ("b", "c", {}), ("c", "d", {"on": "failure"}))
    assert again(definition, a="failed", b="completed", c="completed", d="skipped") == "a"


def test_downstream_is_a_node_and_all_that_it_leads_to() -> None:
    definition = graph(("a", "b", {}), ("b", "d", {"on": "failure"}), ("a", "c", {}), ("c", "e", {}))
    assert downstream(definition, ["b"]) == {"b", "d"}
    assert downstream(definition, ["a"]) == set("abcde")
    assert downstream(definition, ["e", "d"]) == {"d", "e"}
