"""Members of a config that are evaluated when something happens: `match` of `wait_event`."""

from typing import Any

import pytest

from flowforge.kernel.validation import validate
from flowforge.steps.registry import default_registry


def faults_of(match: Any, **config: Any) -> list[tuple[str, str]]:
    nodes = [
        {"id": "first", "type": "transform", "config": {"values": {"n": 1}}},
        {"id": "wait", "type": "wait_event", "config": {"event": "paid", "match": match, **config}},
        {"id": "after", "type": "transform", "config": {"values": {}}},
    ]
    edges = [{"source": "first", "target": "wait"}, {"source": "wait", "target": "after"}]
    found = validate({"nodes": nodes, "edges": edges}, default_registry())
    return [(fault.pointer, fault.code) for fault in found.errors]


@pytest.mark.parametrize(
    "match",
    [
        "{{ payload.n == steps.first.output.n and event == 'paid' }}",
        "payload.order == inputs.order",
        "{{ payload | length > 1 }}",
    ],
)
def test_it_works(match: str) -> None:
    assert faults_of(match) == []


@pytest.mark.parametrize(
    ("match", "code"),
    [
        ("payload.n ==", "expression_syntax"),
        ("{{ payload.n ==", "expression_syntax"),
        ("{{ payload.a }} and {{ payload.b }}", "expression_syntax"),
        ("payload.n == run.id", "unknown_name"),
        ("credentials.x", "unknown_name"),
        ("steps.after.output", "not_upstream"),
        ("{{ steps.nowhere.output }}", "unknown_step"),
    ],
)
def test_it_rejects(match: str, code: str) -> None:
    assert faults_of(match) == [("/nodes/1/config/match", code)]


def test_it_rejects_the_payload_where_there_is_none_yet() -> None:
    assert faults_of("payload.a", event="{{ payload.name }}") == [("/nodes/1/config/event", "unknown_name")]
