"""Expressions in definitions: they parse, and read only what there is by then."""

import pytest

from tests.support.definitions import chain, faults_of, step


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{{ steps.a.output }}", None),
        ("{{ steps.b.error.code }}", None),
        ('{{ steps["a"].status }}', None),
        ("{{ inputs.x }} {{ run.id }} {{ project.variables.y }} {{ now }} {{ credentials.k.token }}", None),
        ("{{ steps[inputs.x] }}", None),
        ("no {expression} }} here", None),
        ("{{ steps.c.output }}", "not_upstream"),
        ("{{ steps.d.output }}", "not_upstream"),
        ("{{ steps.z.output }}", "unknown_step"),
        ("{{ steps.a.outputs }}", "unknown_name"),
        ("{{ input.x }}", "unknown_name"),
        ("{{ item }}", "unknown_name"),
        ("{{ parameters.x }}", "unknown_name"),
        ("{{ 1 + }}", "expression_syntax"),
        ("{{ open", "expression_syntax"),
    ],
)
def test_it_works_and_rejects_what_is_not_upstream(text: str, code: str | None) -> None:
    document = chain("a", "b", "c", "d")
    document["nodes"][2]["config"] = {"x/y": [{"z": text}]}
    assert faults_of(document) == ([] if code is None else [("/nodes/2/config/x~1y/0/z", code)])


@pytest.mark.parametrize("node_type", ["map", "transform"])
def test_a_map_gives_its_step_an_item_and_an_index(node_type: str) -> None:
    inner = {"type": "transform", "config": {"x": "{{ item }} {{ index }}"}}
    document = {"nodes": [step(type=node_type, config={"items": [], "step": inner})]}
    assert bool(faults_of(document)) == (node_type != "map")


@pytest.mark.parametrize(
    ("when", "code"),
    [
        ("steps.a.output > 1", None),
        ("{{ steps.a.output }}", None),
        ("steps.b.output", "not_upstream"),
        ("credentials.k", "unknown_name"),
        ("1 +", "expression_syntax"),
        ("", "expression_syntax"),
        ("{{ inputs.a }} and {{ inputs.b }}", "expression_syntax"),
    ],
)
def test_a_nodes_condition_reads_what_is_upstream_but_no_secrets(when: str, code: str | None) -> None:
    document = chain("a", "b")
    document["nodes"][1]["when"] = when
    assert faults_of(document) == ([] if code is None else [("/nodes/1/when", code)])


@pytest.mark.parametrize(
    ("when", "code"),
    [
        ("{{ steps.b.output }}", None),
        ("{{ steps.a.output }}", None),
        ("{{ steps.c.output }}", "not_upstream"),
        ("{{ credentials.k }}", "unknown_name"),
        ("only if {{ inputs.a }}", "expression_syntax"),
    ],
)
def test_an_edges_condition_reads_its_source_and_what_is_before_it(when: str, code: str | None) -> None:
    document = chain("a", "b", "c")
    document["edges"][1]["when"] = when
    assert faults_of(document) == ([] if code is None else [("/edges/1/when", code)])


def test_in_a_graph_with_a_cycle_only_the_cycle_is_reported() -> None:
    document = chain("a", "b")
    document["edges"].append({"source": "b", "target": "a"})
    document["nodes"][0]["config"] = {"x": "{{ steps.b.output }}"}
    assert [code for _, code in faults_of(document)] == ["cycle"]
