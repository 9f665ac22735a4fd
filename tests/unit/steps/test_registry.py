"""Which step types there are, and what is wrong with a config."""

import logging
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from flowforge.steps import registry as module
from flowforge.steps.base import BaseStep, Completed, Context, Outcome
from flowforge.steps.registry import NotAStepType, Registry, default_registry


class Greet(BaseStep):
    name = "greet"
    title = "Greet"
    description = "Says hello."
    kind = "pure"
    config_schema = {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}
    output_schema = {"type": "string"}

    def run(self, context: Context) -> Outcome:
        return Completed(output=f"Hello {context.config['to']}")


class Namesake(Greet):
    name = "transform"


class Broken(Greet):
    config_schema = {"type": "nothing"}


HERE = "tests.unit.steps.test_registry"


def test_it_works() -> None:
    registry = default_registry()
    assert registry.names() == [
        *("approval", "ci", "condition", "delay", "emit", "etl", "generic", "http", "llm", "map"),
        *("ml_training", "python", "switch", "transform", "wait_event", "workflow"),
    ]
    assert [step_type.name for step_type in registry.all()] == registry.names()
    found = registry.get("http")
    assert found is not None
    assert found.title == "HTTP request"
    assert registry.faults("http", {"url": "https://example.com"}) == []
    assert default_registry() is registry


def test_it_rejects_an_unknown_type() -> None:
    registry = default_registry()
    assert registry.get("nothing") is None
    with pytest.raises(KeyError):
        registry.faults("nothing", {})


def test_a_member_of_the_wrong_shape_hides_no_other_fault() -> None:
    faults = default_registry().faults("http", {"method": "FETCH", "timeout": "soon", "body": "x", "json": 1})
    assert [(fault.pointer, fault.code) for fault in faults] == [
        ("/method", "enum"),
        ("/url", "required"),
        ("/body", "one_of"),
        ("/timeout", "invalid_timeout"),
    ]


@pytest.mark.parametrize(
    ("name", "config", "pointer"),
    [
        ("python", {}, "/code"),
        ("delay", {"duration": []}, "/duration"),
        ("condition", {"expression": {}, "x": 1}, "/x"),
    ],
)
def test_a_fault_is_told_once(name: str, config: dict[str, Any], pointer: str) -> None:
    (fault,) = default_registry().faults(name, config)
    assert fault.pointer == pointer


@pytest.mark.parametrize(
    ("step_type", "reason"),
    [
        (object(), "has no name"),
        (type("Half", (BaseStep,), {"name": "half"})(), "lacks title, description"),
        (Broken(), "a schema of step type 'greet' is none"),
    ],
)
def test_it_rejects_what_has_not_the_shape(step_type: Any, reason: str) -> None:
    with pytest.raises(NotAStepType, match=reason):
        Registry([step_type])


def test_it_rejects_a_second_one_of_a_name() -> None:
    with pytest.raises(NotAStepType, match="'transform' already"):
        default_registry([f"{HERE}.Namesake"])


@pytest.mark.parametrize("path", ["nowhere.Nothing", f"{HERE}.Nothing", "Greet", ""])
def test_it_rejects_a_path_to_nothing(path: str) -> None:
    with pytest.raises(NotAStepType, match="no step type at"):
        default_registry([path])


def test_own_types_are_found_by_their_path() -> None:
    registry = default_registry([f"{HERE}.Greet"])
    assert registry.faults("greet", {}) != []
    assert registry.faults("greet", {"to": "{{ inputs.name }}"}) == []


def offer(monkeypatch: pytest.MonkeyPatch, *entry_points: EntryPoint) -> None:
    monkeypatch.setattr(module, "entry_points", lambda group: entry_points if group == "flowforge.steps" else ())
    module._default_registry.cache_clear()


@pytest.fixture
def _fresh_cache() -> Any:
    yield
    module._default_registry.cache_clear()


@pytest.mark.usefixtures("_fresh_cache")
def test_a_broken_package_is_left_out(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    points = {"greet": f"{HERE}:Greet", "gone": "no_such_package:Step", "broken": f"{HERE}:Broken"}
    points["namesake"] = f"{HERE}:Namesake"
    offer(monkeypatch, *(EntryPoint(name, value, "flowforge.steps") for name, value in points.items()))
    with caplog.at_level(logging.WARNING):
        registry = default_registry()
    assert set(registry.names()) - {"greet"} == {step_type.name for step_type in module.BUILT_IN}
    assert registry.get("greet") is not None
    assert [record.args[0] for record in caplog.records if isinstance(record.args, tuple)] == [
        "gone",
        "broken",
        "namesake",
    ]


@pytest.mark.parametrize(
    ("config", "faults"),
    [
        ({}, [("/url", "required")]),
        ({"url": 3}, [("/url", "type")]),
        ({"url": "https://a", "methd": "GET"}, [("/methd", "additional_properties")]),
        ({"url": "https://a", "headers": {"a/b": {}}}, [("/headers/a~1b", "type")]),
        ({"url": "https://a", "json": 1, "body": "{{ x }}"}, [("/body", "one_of")]),
    ],
)
def test_faults_are_named_by_pointer(config: dict[str, Any], faults: list[tuple[str, str]]) -> None:
    found = default_registry().faults("http", config)
    assert [(fault.pointer, fault.code) for fault in found] == faults


def test_rendered_configs_are_taken_at_their_word() -> None:
    config = {"url": "https://a", "method": "{{ inputs.method }}"}
    assert default_registry().faults("http", config) == []
    assert [fault.pointer for fault in default_registry().faults_rendered("http", config)] == ["/method"]


@pytest.mark.parametrize("step_type", module.BUILT_IN, ids=lambda step_type: step_type.name)
def test_every_field_may_be_an_expression(step_type: Any) -> None:
    alternatives = {
        "delay": [{"duration"}, {"until"}],
        "llm": [{"provider", "model", text, "temperature"} for text in ("messages", "prompt", "prompt_asset_id")],
        "map": [{"items", "workflow_id", "inputs"}],
        "python": [{"inputs"}],
        "ci": [{"repo_url", "branch", "commit", "environment", "artifacts"}],
    }
    properties = set(step_type.config_schema["properties"])
    fixed = {"python": {"code": "def main():\n    pass"}, "ci": {"command": "true"}}.get(step_type.name, {})
    for fields in alternatives.get(step_type.name, [properties - {"body"}]):
        config = {**fixed, **dict.fromkeys(fields, "{{ inputs.x }}")}
        assert default_registry().faults(step_type.name, config) == []
