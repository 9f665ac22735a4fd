"""What a `map` does for its items is checked as any node is, in its place."""

from typing import Any

import pytest

from flowforge.kernel.validation import validate
from flowforge.steps.registry import default_registry
from tests.support.definitions import step as plain

HTTP = {"type": "http", "config": {"url": "https://a.example/{{ item }}/{{ index }}"}}


def document(step: Any = HTTP, **config: Any) -> dict[str, Any]:
    each = {"id": "each", "type": "map", "config": {"items": "{{ inputs.list }}", "step": step, **config}}
    after = plain("after", config={"values": {"n": "{{ steps.each.output.results | length }}"}})
    return {"nodes": [each, after], "edges": [{"source": "each", "target": "after"}]}


def faults(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [(fault.pointer, fault.code) for fault in validate(found, default_registry()).errors]


def test_it_works() -> None:
    step = {**HTTP, "id": "call", "retry": {"max_attempts": 3}, "timeout": "5s", "on_error": "continue", "priority": 3}
    found = validate(document(step, max_concurrency=4, on_error="continue"), default_registry())
    assert found.errors == []
    assert found.definition is not None
    each = found.definition.by_id["each"].each
    assert each is not None
    assert (each.max_concurrency, each.goes_on) == (4, True)
    item = each.step
    assert (item.id, item.position, item.is_item, item.type) == ("each", 0, True, "http")
    assert (item.retry.max_attempts, item.timeout_seconds, item.on_error, item.priority) == (3, 5.0, "continue", 3)
    assert found.definition.node_of("each", 7) is item
    assert found.definition.node_of("each", -1) is found.definition.by_id["each"]


@pytest.mark.parametrize(
    ("found", "pointer", "code"),
    [
        (document({}), "/nodes/0/config/step/type", "required"),
        (document({"type": "nothing"}), "/nodes/0/config/step/type", "unknown_type"),
        (document({"type": "map", "config": {}}), "/nodes/0/config/step/type", "nested_map"),
        (document({"type": "http", "config": {}}), "/nodes/0/config/step/config/url", "required"),
        (document({**HTTP, "when": "true"}), "/nodes/0/config/step/when", "unknown_field"),
        (document({**HTTP, "timeout": "soon"}), "/nodes/0/config/step/timeout", "invalid_duration"),
        (document({**HTTP, "retry": {"max_attempts": 0}}), "/nodes/0/config/step/retry/max_attempts", "minimum"),
        (document(items="{{ item }}"), "/nodes/0/config/items", "unknown_name"),
        (document(items={}), "/nodes/0/config/items", "type"),
        (document(max_concurrency="{{ inputs.n }}"), "/nodes/0/config/max_concurrency", "not_a_constant"),
        (document("{{ inputs.step }}"), "/nodes/0/config/step", "not_a_constant"),
        (document(on_error="{{ inputs.n }}"), "/nodes/0/config/on_error", "not_a_constant"),
        (document(max_concurrency=0), "/nodes/0/config/max_concurrency", "minimum"),
        (document(workflow_id="x"), "/nodes/0/config", "one_of"),
        (document(inputs={}), "/nodes/0/config/inputs", "one_of"),
        (
            document({"type": "http", "config": {"url": "{{ steps.after.output }}"}}),
            "/nodes/0/config/step/config/url",
            "not_upstream",
        ),
        (
            document({"type": "http", "config": {"url": "{{ 1 + }}"}}),
            "/nodes/0/config/step/config/url",
            "expression_syntax",
        ),
    ],
)
def test_it_rejects(found: dict[str, Any], pointer: str, code: str) -> None:
    assert faults(found) == [(pointer, code)]


def test_it_rejects_a_type_that_the_project_does_not_allow() -> None:
    found = validate(document(), default_registry(), allowed_types=["map", "transform"])
    assert [(fault.pointer, fault.code) for fault in found.errors] == [
        ("/nodes/0/config/step/type", "type_not_allowed")
    ]


def test_a_workflow_for_each_item() -> None:
    found = document(None, workflow_id="w", inputs={"n": "{{ index }}"})
    del found["nodes"][0]["config"]["step"]
    checked = validate(found, default_registry())
    assert checked.errors == []
    assert checked.definition is not None
    each = checked.definition.by_id["each"].each
    assert each is not None
    assert (each.step.type, each.step.config) == ("workflow", {"workflow_id": "w", "inputs": {"n": "{{ index }}"}})
