"""What is wrong with a definition, each fault by its place."""

from copy import deepcopy
from itertools import pairwise
from typing import Any

import pytest

from flowforge.core.errors import Fault
from flowforge.kernel.definition import MAX_NODES
from flowforge.kernel.document import load
from flowforge.kernel.validation import MAX_FAULTS, validate
from tests.support.definitions import CATALOGUE

# the worked example of the API's documentation, on the types that there are here
EXAMPLE: dict[str, Any] = {
    "config": {
        "max_concurrency": 10,
        "timeout": "1h",
        "retry_policy": {
            "max_attempts": 3,
            "initial_delay": "1s",
            "max_delay": "5m",
            "backoff_factor": 2.0,
            "jitter": 0.1,
        },
        "concurrency": {"key": "{{ inputs.customer }}", "limit": 1, "on_conflict": "queue"},
        "rate_limit": {"key": "{{ inputs.account }}", "limit": "100/m"},
        "debounce": {"key": "{{ inputs.id }}", "delay": "30s"},
        "expires_in": "1h",
        "priority": 1,
        "on_failure": {"workflow_id": "0190"},
        "expected_duration": "10m",
        "budget": {"cost": 2.5, "tokens": 1000, "wall_time": "1h", "on_breach": "pause"},
    },
    "input_schema": {
        "type": "object",
        "required": ["day"],
        "properties": {"day": {"type": "string", "format": "date"}},
    },
    "nodes": [
        {
            "id": "fetch",
            "name": "Fetch the day's orders",
            "type": "http",
            "config": {
                "method": "GET",
                "url": "https://example.com/{{ inputs.day }}",
                "auth": "{{ credentials.shop.token }}",
            },
            "retry": {"max_attempts": 5},
            "timeout": "30s",
            "priority": 1,
            "position": {"x": 10, "y": -3.5},
            "cache": {"key": "{{ inputs.day }}", "ttl": "1d"},
            "compensate": {"type": "http", "config": {"url": "undo/{{ steps.fetch.output.id }}"}},
        },
        {"id": "big", "type": "condition", "config": {"expression": "{{ steps.fetch.output.json.total > 1000 }}"}},
        {"id": "review", "type": "approval", "config": {"title": "Large day"}},
        {"id": "load", "type": "generic", "join": "any", "when": "{{ steps.fetch.status == 'completed' }}"},
    ],
    "edges": [
        {"source": "fetch", "target": "big"},
        {"source": "big", "target": "review", "when": "true"},
        {"source": "big", "target": "load", "when": "false"},
        {"source": "review", "target": "load", "when": "{{ steps.review.output.ok }}"},
    ],
    "output": {"rows": "{{ steps.load.output.rows_written }}"},
}


def faults_of(document: Any, **options: Any) -> list[tuple[str, str]]:
    return [(fault.pointer, fault.code) for fault in validate(document, CATALOGUE, **options).errors]


def step(node_id: str = "a", **fields: Any) -> dict[str, Any]:
    return {"id": node_id, "type": "transform", **fields}


def chain(*ids: str, **extra: Any) -> dict[str, Any]:
    edges = [{"source": a, "target": b} for a, b in pairwise(ids)]
    return {"nodes": [step(node) for node in ids], "edges": edges, **extra}


def test_it_works_for_the_documented_example() -> None:
    found = validate(EXAMPLE, CATALOGUE)
    assert found.errors == []
    assert found.warnings == []
    assert found.is_valid
    assert found.document == EXAMPLE
    assert found.definition == load(EXAMPLE)
    assert found.definition.by_id["fetch"].retry.max_attempts == 5


def test_it_rejects_everything_at_once_by_place() -> None:
    document = deepcopy(EXAMPLE)
    document["nodes"][0]["type"] = "htp"
    document["nodes"][1]["tiemout"] = "5s"
    document["nodes"][2]["timeout"] = "soon"
    document["nodes"][3]["id"] = "fetch"
    document["edges"][3]["target"] = "lod"
    document["output"] = "{{ steps.nowhere.output }}"
    document["confg"] = {}
    assert faults_of(document) == [
        ("/confg", "unknown_field"),
        ("/edges/2/target", "unknown_node"),
        ("/edges/3/target", "unknown_node"),
        ("/nodes/0/type", "unknown_type"),
        ("/nodes/1/tiemout", "unknown_field"),
        ("/nodes/2/timeout", "invalid_duration"),
        ("/nodes/3/id", "duplicate_id"),
        ("/output", "unknown_step"),
    ]


@pytest.mark.parametrize("document", [None, [], "text", 7, True])
def test_it_rejects_what_is_no_object(document: Any) -> None:
    assert faults_of(document) == [("", "type")]


def test_an_empty_definition_is_valid_but_warned_of() -> None:
    for document in ({}, {"nodes": [], "edges": []}):
        found = validate(document, CATALOGUE)
        assert found.document == {"nodes": [], "edges": [], "config": {}, "input_schema": None, "output": None}
        assert found.warnings == [
            Fault(pointer="/nodes", code="empty", detail="without nodes a run completes at once and does nothing")
        ]


# --- shape --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"id": "a b"}, "/id", "pattern"),
        ({"id": "-a"}, "/id", "pattern"),
        ({"id": ""}, "/id", "pattern"),
        ({"id": "a" * 101}, "/id", "pattern"),
        ({"id": "a\n"}, "/id", "pattern"),
        ({"id": 7}, "/id", "type"),
        ({"type": None}, "/type", "type"),
        ({"type": "nope"}, "/type", "unknown_type"),
        ({"config": []}, "/config", "type"),
        ({"name": 1}, "/name", "type"),
        ({"priority": "1"}, "/priority", "type"),
        ({"priority": 1.5}, "/priority", "type"),
        ({"priority": True}, "/priority", "type"),
        ({"priority": 2**31}, "/priority", "maximum"),
        ({"join": "some"}, "/join", "enum"),
        ({"on_error": "ignore"}, "/on_error", "enum"),
        ({"when": 1}, "/when", "type"),
        ({"timeout": "1 fortnight"}, "/timeout", "invalid_duration"),
        ({"timeout": 0}, "/timeout", "invalid_duration"),
        ({"timeout": -1}, "/timeout", "invalid_duration"),
        ({"timeout": []}, "/timeout", "type"),
        ({"retry": 3}, "/retry", "type"),
        ({"retry": {"max_attempts": 0}}, "/retry/max_attempts", "minimum"),
        ({"retry": {"max_attempts": 1.5}}, "/retry/max_attempts", "type"),
        ({"retry": {"max_attempts": 1001}}, "/retry/max_attempts", "maximum"),
        ({"retry": {"backoff_factor": 0.5}}, "/retry/backoff_factor", "minimum"),
        ({"retry": {"jitter": 2}}, "/retry/jitter", "maximum"),
        ({"retry": {"initial_delay": "x"}}, "/retry/initial_delay", "invalid_duration"),
        ({"retry": {"max_delay": -1}}, "/retry/max_delay", "invalid_duration"),
        ({"retry": {"attempts": 3}}, "/retry/attempts", "unknown_field"),
        ({"cache": {"key": "k"}}, "/cache/ttl", "required"),
        ({"cache": {"key": "k", "ttl": "x"}}, "/cache/ttl", "invalid_duration"),
        ({"position": {"x": 1}}, "/position/y", "required"),
        ({"position": {"x": "1", "y": 2}}, "/position/x", "type"),
        ({"template_version": 0}, "/template_version", "minimum"),
        ({"compensate": {}}, "/compensate/type", "required"),
        ({"compensate": {"type": "nope"}}, "/compensate/type", "unknown_type"),
        ({"compensate": {"type": "http", "config": {}}}, "/compensate/config/url", "required"),
        (
            {"compensate": {"type": "http", "config": {"url": "{{ steps.b.output }}"}}},
            "/compensate/config/url",
            "unknown_step",
        ),
        ({"compensate": {"type": "map", "timeout": 0}}, "/compensate/timeout", "invalid_duration"),
        (
            {"compensate": {"type": "map", "retry": {"max_delay": "x"}}},
            "/compensate/retry/max_delay",
            "invalid_duration",
        ),
        ({"typo/~": 1}, "/typo~1~0", "unknown_field"),
    ],
)
def test_it_rejects_a_bad_node(fields: dict[str, Any], pointer: str, code: str) -> None:
    assert faults_of({"nodes": [step(**fields)] if "id" not in fields else [{"type": "transform", **fields}]}) == [
        (f"/nodes/0{pointer}", code)
    ]


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"source": "x"}, "/source", "unknown_node"),
        ({"target": "x"}, "/target", "unknown_node"),
        ({"target": "a"}, "", "self_loop"),
        ({"source": 1}, "/source", "type"),
        ({"on": "done"}, "/on", "enum"),
        ({"when": []}, "/when", "type"),
        ({"when": 1.5}, "/when", "type"),
        ({"when": "yes"}, "/when", "unknown_label"),
        ({"when": "{{ 1 + }}"}, "/when", "expression_syntax"),
        ({"label": "x"}, "/label", "unknown_field"),
    ],
)
def test_it_rejects_a_bad_edge(fields: dict[str, Any], pointer: str, code: str) -> None:
    document = {"nodes": [step("a"), step("b")], "edges": [{"source": "a", "target": "b", **fields}]}
    assert faults_of(document) == [(f"/edges/0{pointer}", code)]


@pytest.mark.parametrize(
    ("config", "pointer", "code"),
    [
        ({"max_concurrency": 0}, "/max_concurrency", "minimum"),
        ({"max_concurrency": "10"}, "/max_concurrency", "type"),
        ({"timeout": "x"}, "/timeout", "invalid_duration"),
        ({"expires_in": 0}, "/expires_in", "invalid_duration"),
        ({"expected_duration": "P1M"}, "/expected_duration", "invalid_duration"),
        ({"priority": "high"}, "/priority", "type"),
        ({"retry_policy": {"max_delay": "x"}}, "/retry_policy/max_delay", "invalid_duration"),
        ({"concurrency": {"limit": 0}}, "/concurrency/limit", "minimum"),
        ({"concurrency": {"on_conflict": "wait"}}, "/concurrency/on_conflict", "enum"),
        ({"concurrency": {"key": "{{ steps.a.output }}"}}, "/concurrency/key", "unknown_name"),
        ({"rate_limit": {"key": "k"}}, "/rate_limit/limit", "required"),
        ({"rate_limit": {"limit": "many"}}, "/rate_limit/limit", "invalid_rate"),
        ({"debounce": {"key": "k"}}, "/debounce/delay", "required"),
        ({"debounce": {"delay": "x"}}, "/debounce/delay", "invalid_duration"),
        ({"debounce": {"delay": 1, "key": "{{ credentials.a }}"}}, "/debounce/key", "unknown_name"),
        ({"on_failure": {}}, "/on_failure/workflow_id", "required"),
        ({"budget": {"cost": -1}}, "/budget/cost", "minimum"),
        ({"budget": {"wall_time": "x"}}, "/budget/wall_time", "invalid_duration"),
        ({"budget": {"on_breach": "cry"}}, "/budget/on_breach", "enum"),
        ({"max_concurency": 3}, "/max_concurency", "unknown_field"),
        ([], "", "type"),
    ],
)
def test_it_rejects_a_bad_config(config: Any, pointer: str, code: str) -> None:
    assert faults_of({"nodes": [step()], "config": config}) == [(f"/config{pointer}", code)]


@pytest.mark.parametrize(
    ("schema", "pointer", "code"),
    [
        ({"type": "objct"}, "/type", "invalid_schema"),
        ({"properties": {"a/b": {"minimum": "1"}}}, "/properties/a~1b/minimum", "invalid_schema"),
        ({"$ref": "http://127.0.0.1/schema"}, "", "remote_reference"),
        ({"$ref": "file:///etc/passwd"}, "", "remote_reference"),
        ([], "", "type"),
        ("object", "", "type"),
    ],
)
def test_it_rejects_a_bad_input_schema(schema: Any, pointer: str, code: str) -> None:
    assert faults_of({"input_schema": schema}) == [(f"/input_schema{pointer}", code)]


@pytest.mark.parametrize("field", ["nodes", "edges"])
@pytest.mark.parametrize("value", [{}, "x", 1, None])
def test_it_rejects_lists_that_are_none(field: str, value: Any) -> None:
    assert faults_of({field: value}) == [(f"/{field}", "type")]


def test_too_many_nodes_are_not_looked_at() -> None:
    assert faults_of({"nodes": [7] * (MAX_NODES + 1)}) == [("/nodes", "too_many_nodes")]
    assert len(faults_of({"nodes": [7] * MAX_NODES})) == MAX_FAULTS


def test_what_is_within_something_unreadable_is_not_reported_too() -> None:
    document = {"nodes": [{"id": "a", "type": "http", "config": "{{ foo }}"}]}
    assert faults_of(document) == [("/nodes/0/config", "type")]


def test_a_missing_config_is_read_as_an_empty_one() -> None:
    assert faults_of({"nodes": [{"id": "a", "type": "http"}]}) == [("/nodes/0/config/url", "required")]


def test_a_type_that_the_project_does_not_allow_is_a_fault() -> None:
    document = {"nodes": [step(), {"id": "b", "type": "generic"}]}
    assert faults_of(document, allowed_types={"transform"}) == [("/nodes/1/type", "type_not_allowed")]
    assert faults_of(document, allowed_types=set(CATALOGUE.names())) == []


def test_a_template_says_of_which_type_its_nodes_are() -> None:
    node = {"id": "a", "template_id": "0190", "config": {"parameters": {"x": "{{ inputs.x }}"}}}
    assert faults_of({"nodes": [node]}) == []
    assert faults_of({"nodes": [{**node, "template_id": None}]}) == [("/nodes/0/type", "required")]


# --- graph --------------------------------------------------------------------------------------------------------


def test_a_cycle_is_a_fault_at_the_edge_that_closes_it() -> None:
    document = chain("a", "b", "c")
    document["edges"].append({"source": "c", "target": "a"})
    [fault] = validate(document, CATALOGUE).errors
    assert fault.code == "cycle"
    assert fault.pointer in {"/edges/0", "/edges/1", "/edges/2"}
    assert sorted(set(fault.detail.removeprefix("a cycle: ").split(" → "))) == ["a", "b", "c"]


def test_a_double_edge_is_a_fault() -> None:
    document = chain("a", "b")
    document["edges"] += [{"source": "a", "target": "b", "on": "success", "when": None}]
    document["edges"] += [{"source": "a", "target": "b", "on": "failure"}]
    assert faults_of(document) == [("/edges/1", "duplicate_edge")]


@pytest.mark.parametrize(
    ("source", "when", "code"),
    [
        ("condition", "true", None),
        ("condition", True, None),
        ("condition", "True", "unknown_label"),
        ("condition", "{{ steps.a.output }}", None),
        ("approval", "rejected", None),
        ("approval", "denied", "unknown_label"),
        ("switch", "anything", None),
        ("switch", 3, None),
        ("transform", "true", "unknown_label"),
        ("nope", "true", "unknown_type"),
    ],
)
def test_a_label_has_to_be_one_that_the_source_gives(source: str, when: Any, code: str | None) -> None:
    document = {"nodes": [step(type=source), step("b")], "edges": [{"source": "a", "target": "b", "when": when}]}
    assert [found for _, found in faults_of(document)] == ([] if code is None else [code])


# --- expressions --------------------------------------------------------------------------------------------------


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
def test_a_config_reads_only_what_is_upstream(text: str, code: str | None) -> None:
    document = chain("a", "b", "c", "d")
    document["nodes"][2]["config"] = {"x/y": [{"z": text}]}
    assert faults_of(document) == ([] if code is None else [("/nodes/2/config/x~1y/0/z", code)])


@pytest.mark.parametrize("node_type", ["map", "transform"])
def test_a_map_gives_its_step_an_item_and_an_index(node_type: str) -> None:
    document = {"nodes": [step(type=node_type, config={"step": {"config": {"x": "{{ item }} {{ index }}"}}})]}
    assert bool(faults_of(document)) == (node_type != "map")


@pytest.mark.parametrize(
    ("when", "code"),
    [
        ("steps.a.output > 1", None),
        ("{{ steps.a.output }}", None),
        ("steps.b.output", "not_upstream"),
        ("credentials.k", "unknown_name"),
        ("1 +", "expression_syntax"),
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


# --- warnings -----------------------------------------------------------------------------------------------------


def warnings_of(document: dict[str, Any]) -> list[tuple[str, str]]:
    found = validate(document, CATALOGUE)
    assert found.errors == []
    return [(fault.pointer, fault.code) for fault in found.warnings]


def test_a_condition_that_reads_nothing_is_warned_of() -> None:
    assert warnings_of({"nodes": [step(when=False)]}) == [("/nodes/0/when", "constant_condition")]
    assert warnings_of({"nodes": [step(when="inputs.x")]}) == []


def test_a_label_that_no_edge_takes_is_warned_of() -> None:
    document = {
        "nodes": [step(type="approval"), step("b")],
        "edges": [{"source": "a", "target": "b", "when": "approved"}],
    }
    assert warnings_of(document) == [("/nodes/0", "label_without_edge")]
    document["edges"].append({"source": "a", "target": "b"})
    assert warnings_of(document) == []
