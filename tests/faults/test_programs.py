"""The programs and what is foretold of them: drawn the same from the same seed, valid, and right."""

import uuid

import pytest

from flowforge.kernel.validation import validate
from flowforge.steps.registry import default_registry
from tests.faults.definition import definition_of
from tests.faults.prediction import Inputs, predict
from tests.faults.programs import Edge, Node, Program, draw

SEEDS = range(60)
INPUTS = Inputs(token="t", lane=1, x=2)


def test_it_works() -> None:
    """One of each: a step, a retried one, a branch of which one arm is taken, a join."""
    program = Program(
        seed=0,
        nodes=[
            Node(id="a", kind="noted", amount=1),
            Node(id="b", kind="noted", amount=2, fail_times=1, attempts=2),
            Node(id="c", kind="condition", amount=0),
            Node(id="d", kind="noted", amount=4),
            Node(id="e", kind="noted", amount=8),
            Node(id="f", kind="sum", amount=16),
        ],
        edges=[
            Edge(source="a", target="b"),
            Edge(source="b", target="c"),
            Edge(source="c", target="d", when="true"),
            Edge(source="c", target="e", when="false"),
            Edge(source="d", target="f"),
            Edge(source="e", target="f"),
        ],
    )
    found = predict(program, INPUTS)
    assert {node: fate.status for node, fate in found.fates.items()} == {
        **dict.fromkeys("abcdf", "completed"),
        "e": "skipped",
    }
    assert found.effects == {("a", -1): 1, ("b", -1): 2, ("d", -1): 1}
    assert (found.status, found.total) == ("completed", 1 + (2 + 1) + 4 + (16 + 4))


@pytest.mark.parametrize(
    ("on_error", "edges", "status", "second"),
    [
        ("fail", [Edge(source="a", target="b")], "failed", "skipped"),
        ("continue", [Edge(source="a", target="b")], "completed", "completed"),
        ("fail", [Edge(source="a", target="b", on="failure")], "completed", "completed"),
        ("fail", [Edge(source="a", target="b", on="always")], "completed", "completed"),
    ],
)
def test_a_failure(on_error: str, edges: list[Edge], status: str, second: str) -> None:
    failing = Node(id="a", kind="noted", amount=1, fail_times=9, attempts=2, on_error=on_error)  # type: ignore[arg-type]
    program = Program(seed=0, nodes=[failing, Node(id="b", kind="noted", amount=2)], edges=edges)
    found = predict(program, INPUTS)
    assert (found.status, found.fates["b"].status) == (status, second)
    assert found.effects[("a", -1)] == 2


def test_a_seed_is_a_program() -> None:
    assert [draw(seed) for seed in SEEDS] == [draw(seed) for seed in SEEDS]
    assert len({len(draw(seed).nodes) for seed in SEEDS}) > 10


def test_every_program_is_valid() -> None:
    catalogue = default_registry(["tests.faults.step_types.Noted"])
    for seed in SEEDS:
        program = draw(seed)
        children = {node.id: str(uuid.uuid4()) for node in program.nodes}
        for each in (program, *program.children):
            assert validate(definition_of(each, children), catalogue).errors == []


def test_programs_have_all_kinds() -> None:
    drawn = [node for seed in SEEDS for node in draw(seed).nodes]
    assert {node.kind for node in drawn} == {
        *("noted", "sum", "condition", "delay", "approval", "wait_event", "map", "workflow"),
    }
    assert {node.join for node in drawn} == {"all", "any", "strict"}
    assert {predict(draw(seed), INPUTS).status for seed in SEEDS} == {"completed", "failed"}
