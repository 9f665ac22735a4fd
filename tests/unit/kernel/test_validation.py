"""What is wrong with a definition, each fault by its place."""

from copy import deepcopy
from typing import Any

import pytest

from flowforge.core.errors import Fault
from flowforge.kernel.document import load
from flowforge.kernel.validation import validate, validate_step
from tests.support.definitions import CATALOGUE, chain, faults_of, step

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


def test_it_works_for_the_documented_example() -> None:
    found = validate(EXAMPLE, CATALOGUE)
    assert found.errors == []
    assert {warning.code for warning in found.warnings} == {"without_effect"}
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


def test_a_type_that_the_project_does_not_allow_is_a_fault() -> None:
    document = {"nodes": [step(), {"id": "b", "type": "generic"}]}
    assert faults_of(document, allowed_types={"transform"}) == [("/nodes/1/type", "type_not_allowed")]
    assert faults_of(document, allowed_types=set(CATALOGUE.names())) == []


def test_a_node_of_a_template_is_checked_as_any_other() -> None:
    node = step(template_id="0190", template_version=2)
    found = validate({"nodes": [node]}, CATALOGUE)
    assert (found.errors, found.warnings) == ([], [])
    assert found.definition is not None
    assert (found.definition.nodes[0].template_id, found.definition.nodes[0].template_version) == ("0190", 2)
    assert faults_of({"nodes": [{"id": "a", "template_id": "0190"}]}) == [("/nodes/0/type", "required")]
    read = {**node, "config": {"values": {"x": "{{ parameters.x }}"}}}
    assert faults_of({"nodes": [read]}) == [("/nodes/0/config/values/x", "unknown_name")]


def test_a_step_without_a_graph_may_read_any_step_and_the_names_that_are_given() -> None:
    config = {"values": {"x": "{{ steps.any.output ~ parameters.x }}", "y": "{{ other }}"}}
    found = validate_step({"type": "transform", "config": config}, CATALOGUE, names=frozenset({"parameters"}))
    assert [(fault.pointer, fault.code) for fault in found] == [("/config/values/y", "unknown_name")]
    found = validate_step({"type": "generic", "config": [], "timeout": -1}, CATALOGUE, allowed_types={"transform"})
    assert [(fault.pointer, fault.code) for fault in found] == [
        ("/config", "type"),
        ("/timeout", "invalid_duration"),
        ("/type", "type_not_allowed"),
    ]


# --- graph ------------------------------------------------------------------------------------------------------


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


# --- warnings ---------------------------------------------------------------------------------------------------


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


def test_it_warns_of_what_has_no_effect() -> None:
    config = {"expires_in": "1h", "debounce": None, "timeout": "1h", "budget": {"steps": 5}}
    nodes = [step(cache={"key": "k", "ttl": 1}, compensate={"type": "transform", "config": {"values": {}}})]
    assert warnings_of({"nodes": nodes, "config": config}) == [
        ("/config/budget", "without_effect"),
        ("/nodes/0/compensate", "without_effect"),
    ]
