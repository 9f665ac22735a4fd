"""Templates: values whose texts hold expressions, what they give and what a definition can ask about them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from flowforge.kernel.expressions import (
    ExpressionError,
    Reference,
    compile_expression,
    compile_template,
    faults,
    truthy,
)

SCOPE: dict[str, Any] = {
    "inputs": {"count": 5, "ratio": 0.5, "none": None, "tags": ["b", "a", "c"], "template": "{{ run.id }}"},
    "steps": {"fetch": {"output": {"rows": [{"id": 1}, {"id": 2}]}}},
    "run": {"id": "r1"},
}


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{ inputs.count }}", 5),
        ("  {{ inputs.tags }}\n", ["b", "a", "c"]),
        ("{{ inputs.none }}", None),
        ("n={{ inputs.count }}, {{ inputs.ratio }}{{ inputs.none }}", "n=5, 0.5"),
        ("{{ inputs.count }}{{ true }}", "5true"),
        ("rows: {{ steps.fetch.output.rows }}", 'rows: [{"id":1},{"id":2}]'),
        ("{{ '{{' }} and {{ '}}' }}", "{{ and }}"),
        ("{{ {'a': {'b': '}}'}}['a'] }}", {"b": "}}"}),
        ("no }} expression {% if %} {# #} {", "no }} expression {% if %} {# #} {"),
        ("{{ 1 }}{% if %}", "1{% if %}"),
        (
            {"{{ key }}": ["{{ 1 + 1 }}", {"a": None, "b": [True, 1.5]}]},
            {"{{ key }}": [2, {"a": None, "b": [True, 1.5]}]},
        ),
        (7, 7),
        ([], []),
    ],
)
def test_it_works(template: Any, value: Any) -> None:
    found = compile_template(template).render(SCOPE)
    assert found == value
    assert type(found) is type(value)


def test_what_a_template_gives_is_data() -> None:
    """Never rendered again, and nobody else's."""
    assert compile_template("{{ inputs.template }}").render(SCOPE) == "{{ run.id }}"
    assert compile_template("a {{ inputs.template }}").render(SCOPE) == "a {{ run.id }}"
    source = {"constant": {"a": [1]}, "rows": "{{ steps.fetch.output.rows }}"}
    template = compile_template(source)
    first = template.render(SCOPE)
    first["constant"]["a"].append(2)
    first["rows"][0]["id"] = 9
    source["constant"]["a"].append(3)  # type: ignore[index]
    assert template.render(SCOPE) == {"constant": {"a": [1]}, "rows": [{"id": 1}, {"id": 2}]}


def test_a_constant_is_known_as_such() -> None:
    assert compile_template({"a": ["}} {%", 1]}).is_constant
    assert not compile_template({"a": ["x", {"b": "{{ 1 }}"}]}).is_constant


def test_now_can_be_given() -> None:
    moment = datetime(2026, 1, 1, 12, tzinfo=UTC)
    template = compile_template(["{{ now }}", "{{ run.id }}"])
    assert template.render(SCOPE, now=moment) == ["2026-01-01T12:00:00.000000Z", "r1"]
    assert template.render({**SCOPE, "now": "then"}) == ["then", "r1"]


@pytest.mark.parametrize(
    ("text", "references"),
    [
        ("steps.fetch.output.rows[0].id", {Reference("steps", "fetch", "output")}),
        ("steps['fetch']['status']", {Reference("steps", "fetch", "status")}),
        ("steps.fetch", {Reference("steps", "fetch")}),
        ("steps.fetch[inputs.key].x", {Reference("steps", "fetch"), Reference("inputs")}),
        ("steps[inputs.name].output", {Reference("steps"), Reference("inputs")}),
        ("steps | length", {Reference("steps")}),
        (
            "credentials.github.token ~ credentials['x'].y",
            {Reference("credentials", "github"), Reference("credentials", "x")},
        ),
        ("project.variables.a", {Reference("project")}),
        ("[a, {'k': b}] | map('default', c) | list if d else e[f:]", {Reference(name) for name in "abcdef"}),
        ("g is eq(h) and not -i < j", {Reference(name) for name in "ghij"}),
        ("1 ~ 'steps.a'", set()),
    ],
)
def test_references(text: str, references: set[Reference]) -> None:
    assert compile_expression(text).references == references
    assert compile_template([{"a": f"x {{{{ {text} }}}}"}]).references == references


def test_faults_are_all_named() -> None:
    value = {"a/b": ["{{ 1 +", "{{ ok }}", "}}"], "~": {"": "x {{ a | nothing }}"}, "deep": [[{"x": "{{ f() }}"}]]}
    found = faults(value)
    assert [(fault.pointer, fault.code) for fault in found] == [
        ("/a~1b/0", "expression_syntax"),
        ("/~0/", "expression_syntax"),
        ("/deep/0/0/x", "expression_syntax"),
    ]
    assert "nothing" in found[1].detail
    assert faults("{{")[0].pointer == ""
    assert faults({"a": [1, None, "{{ b }}"]}) == []


@pytest.mark.parametrize("text", ["{{ 1", "{{ }}", "a {{ 1 + }}", "{{ f(1) }}", "{{ a | nothing }}"])
def test_it_rejects_what_is_no_expression(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_template({"a": [text]})
    assert caught.value.code == "expression_syntax"


def test_it_rejects_a_value_nested_too_deeply() -> None:
    value: Any = "{{ 1 }}"
    for _ in range(65):
        value = [value]
    with pytest.raises(ExpressionError):
        compile_template(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, False),
        (0, False),
        (0.0, False),
        ("", False),
        ([], False),
        ({}, False),
        (False, False),
        ("false", False),
        ("FALSE", False),
        ("False", False),
        ("0", True),
        (" ", True),
        ("no", True),
        ("falsey", True),
        ("true", True),
        (-1, True),
        ([0], True),
        ({"a": None}, True),
    ],
)
def test_truthy(value: Any, expected: bool) -> None:
    assert truthy(value) is expected
    assert compile_expression("not x").evaluate({"x": value}) is not expected
