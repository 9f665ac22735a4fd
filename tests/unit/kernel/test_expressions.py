"""The expression language: what each construct gives, and what is refused."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from flowforge.kernel.expressions import (
    ExpressionError,
    compile_expression,
    compile_template,
)

SCOPE: Mapping[str, Any] = {
    "inputs": {
        "day": "2026-01-31",
        "count": 5,
        "ratio": 0.5,
        "none": None,
        "empty": "",
        "off": "False",
        "tags": ["b", "a", "c"],
        "odd key": {"x/y": [10, 20]},
        "template": "{{ run.id }}",
    },
    "steps": {"fetch": {"output": {"rows": [{"id": 1}, {"id": 2}]}, "status": "completed", "error": None}},
    "run": {"id": "r1"},
    "index": 0,
}


def evaluate(text: str, scope: Mapping[str, Any] = SCOPE) -> Any:
    return compile_expression(text).evaluate(scope)


def code_of(text: str, scope: Mapping[str, Any] = SCOPE) -> str:
    with pytest.raises(ExpressionError) as caught:
        evaluate(text, scope)
    return caught.value.code


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # literals
        ("1", 1),
        ("-1.5e3", -1500.0),
        ("0x1F + 1_000", 1031),
        ("'a' \"b\"", "ab"),
        (r"'\u00e9\n\\d\''", "é\n\\d'"),
        ("true and not False", True),
        ("none", None),
        ("[1, 'a', [none,],]", [1, "a", [None]]),
        ("(1, 2)", [1, 2]),
        ("{'a': 1, 'b' ~ 1: [2]}", {"a": 1, "b1": [2]}),
        # lookups
        ("inputs.day", "2026-01-31"),
        ("inputs['odd key']['x/y'][1]", 20),
        ("inputs.tags.0", "b"),
        ("inputs.tags[-1]", "c"),
        ("inputs.tags[index]", "b"),
        ("inputs.tags[1:]", ["a", "c"]),
        ("inputs.day[:4]", "2026"),
        ("inputs.day[::-1]", "13-10-6202"),
        ("inputs['da' ~ 'y']", "2026-01-31"),
        ("{'items': 1}.items", 1),
        ("[{'a': 7}][0].a", 7),
        # arithmetic
        ("7 + 2 * 3 - 1", 12),
        ("7 / 2", 3.5),
        ("7 // 2 + 7 % 4", 6),
        ("-7 // 2", -4),
        ("2 ** 10", 1024),
        ("2 ** -1", 0.5),
        ("2 ** 64 - 1 if false else +inputs.count", 5),
        ("-(2 ** 63)", -(2**63)),
        ("'a' + 'b' * 3", "abbb"),
        ("3 * [0]", [0, 0, 0]),
        ("'a' * -1", ""),
        ("[1] + [2]", [1, 2]),
        # comparison and logic
        ("1 < 2 <= 2.0 != 3", True),
        ("1 < 3 < 2", False),
        ("'a' < 'b' and 2 >= 1 and 1 > 0", True),
        ("1 == '1'", False),
        ("[1, {'a': 2}] == [1.0, {'a': 2}]", True),
        ("none == false", False),
        ("'31' in inputs.day", True),
        ("'a' in inputs.tags and 'z' not in inputs.tags", True),
        ("'day' in inputs", True),
        ("1 in inputs", False),
        ("{'a': 1} in [{'a': 1}]", True),
        ("inputs.empty or inputs.count", 5),
        ("inputs.count and inputs.empty", ""),
        ("inputs.off or 'off'", "off"),
        ("'yes' if inputs.count > 3 else missing", "yes"),
        ("'' if false else none", None),
        ("inputs.day ~ '/' ~ 1 ~ none ~ true ~ [1.0]", "2026-01-31/1true[1.0]"),
        # undefined
        ("missing | default(3)", 3),
        ("inputs.a.b.c | default", ""),
        ("inputs.tags[9] | default('x')", "x"),
        ("inputs.none | default('x')", None),
        ("inputs.none | default('x', true)", "x"),
        ("inputs.empty | d('x', boolean=true)", "x"),
        ("inputs.day | default(missing)", "2026-01-31"),
        ("inputs.day is defined and missing.a is undefined and missing is not defined", True),
        ("(1 if false) is undefined", True),
        ("[] | first is defined", False),
        # a row of operators is as deep as one
        (" or ".join(["false"] * 500) + " or 7", 7),
    ],
)
def test_it_works(text: str, value: Any) -> None:
    found = evaluate(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", None),
        ("1 +", 2),
        ("a b", 2),
        ("a }} b", 2),
        ("a = 1", 2),
        ("a; b", 1),
        ("(1", 1),
        ("[1)", 2),
        ("{{ 1", 0),
        ("{{ 'a }}", 3),
        ("{{ a ] }}", 5),
        ("{{ 1 }} {{ 2 }}", None),
        ("x {{ 1 }}", 2),
        ("{{ 1 }} x", None),
        ("{{- a -}}", None),
        ("inputs.f(1)", 8),
        ("{% if a %}", 1),
        ("a | uper", 4),
        ("a | upper(1)", 4),
        ("a | round(digits=1)", 4),
        ("a | map('uper')", 4),
        ("a | map('map', 'replace', 'x')", 4),
        ("a | selectattr('b', 'gtt', 1)", 4),
        ("a is nothing", 2),
        ("a | join(*b)", 4),
        ("a | join(**b)", 4),
        (r"'\d'", 1),
        (r"'\x00'", 0),
        (r"'\ud800'", 0),
        (r"'\UFFFFFFFF'", 0),
        ("'\ud800'", 0),
        ("1e999", 0),
        ("18446744073709551616", 0),
        ("9" * 5000, 0),
        ("a ? b : c", 2),
        ("é + 1 §", 6),
        ("a.b.", 3),
        ("x" * 40_000, 0),
    ],
)
def test_it_rejects_what_is_no_expression(text: str, position: int | None) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text)
    assert caught.value.code == "expression_syntax"
    assert caught.value.message
    if position is not None:
        assert caught.value.position == position


@pytest.mark.parametrize("depth", [33, 5_000])
@pytest.mark.parametrize("text", ["({}", "[{}", "not {}", "- {}", "a if b else {}", "{}.a[b]", "{} + 1", "x|join({}"])
def test_it_rejects_deep_nesting(text: str, depth: int) -> None:
    nested = "a"
    for _ in range(min(depth, 30_000 // len(text)) * 2):
        nested = text.replace("{}", nested)
    assert code_of(nested) == "expression_syntax"


@pytest.mark.parametrize(
    "text",
    [
        "missing",
        "inputs.missing",
        "inputs.tags[3]",
        "inputs.none.x",
        "inputs.day.upper",
        "inputs.missing + 1",
        "inputs.missing == 1",
        "not inputs.missing",
        "'x' ~ inputs.missing",
        "[inputs.missing]",
        "{'a': inputs.missing}",
        "inputs.missing | upper",
        "1 if inputs.missing else 2",
        "1 if false",
        "[] | first",
        "[] | max",
        "inputs.missing | default(missing)",
        "inputs.day[missing]",
        "steps.fetch.output.rows | map(attribute='name')",
        "steps.fetch.output.rows | selectattr('name', 'eq', 1)",
    ],
)
def test_it_rejects_what_is_not_defined(text: str) -> None:
    assert code_of(text) == "expression_undefined"


@pytest.mark.parametrize(
    "text",
    [
        "1 < 'a'",
        "none > 1",
        "[1] < [2]",
        "{} >= {}",
        "1 + 'a'",
        "'a' - 'b'",
        "'%s' % 1",
        "none * 2",
        "[1] + 1",
        "1 / 0",
        "1.0 // 0",
        "1 % 0",
        "0 ** -1",
        "(-8) ** 0.5",
        "1e308 * 10",
        "10.0 ** 400",
        "-'a'",
        "1 in 2",
        "1 in 'text'",
        "{1: 2}",
        "inputs[1.5]",
        "inputs[true]",
        "inputs.count[1:]",
        "inputs.day[::0]",
        "inputs.day['a':]",
    ],
)
def test_it_rejects_values_that_do_not_fit(text: str) -> None:
    assert code_of(text) == "expression_error"


def test_an_error_says_what_and_where() -> None:
    with pytest.raises(ExpressionError, match=r"^unexpected '}}'$"):
        compile_expression("a }} b")
    with pytest.raises(ExpressionError) as caught:
        evaluate("{{ inputs.count + inputs.rows.total }}")
    assert str(caught.value) == caught.value.message == "inputs.rows is not defined"
    assert caught.value.position == 29
    with pytest.raises(ExpressionError) as caught:
        compile_template("at {{ 1 / inputs.count }} and {{ 1 / index }}").render(SCOPE)
    assert (caught.value.message, caught.value.position) == ("division by zero", 33)


def test_a_mapping_is_read_key_by_key() -> None:
    class Lazy(Mapping[str, Any]):
        def __init__(self) -> None:
            self.read: list[str] = []

        def __getitem__(self, key: str) -> Any:
            if key not in ("a", "b"):
                raise KeyError(key)
            self.read.append(key)
            return {"output": {"x": key}}

        def __iter__(self) -> Iterator[str]:
            raise AssertionError("iterated needlessly")

        def __len__(self) -> int:
            return 2

    steps = Lazy()
    assert evaluate("steps.a.output", {"steps": steps}) == {"x": "a"}
    assert evaluate("steps.z.output | default(1)", {"steps": steps}) == 1
    assert steps.read == ["a"]


def test_a_value_that_is_no_json_is_refused() -> None:
    assert code_of("run", {"run": object()}) == "expression_error"
    assert code_of("'' ~ run", {"run": {1, 2}}) == "expression_error"
    assert code_of("run.real", {"run": 1}) == "expression_undefined"
