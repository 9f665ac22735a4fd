"""Fields of the wrong shape, and values that make no sense."""

from typing import Any

import pytest

from flowforge.kernel.definition import MAX_NODES
from flowforge.kernel.validation import MAX_FAULTS
from tests.support.definitions import faults_of, step


def test_it_works_with_every_optional_field_null() -> None:
    fields = ["name", "config", "retry", "timeout", "priority", "join", "when", "on_error", "queue", "cache"]
    fields += ["template_id", "template_version", "position", "compensate"]
    assert faults_of({"nodes": [step(**dict.fromkeys(fields))], "config": None, "input_schema": None}) == []


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
