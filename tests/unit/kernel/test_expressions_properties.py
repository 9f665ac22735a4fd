"""What holds for every text and every value, found by generating them; and that compiled objects can be shared."""

import threading
from collections.abc import Callable
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from flowforge.core import json
from flowforge.kernel.expressions import ExpressionError, compile_expression, compile_template, faults, truthy
from flowforge.kernel.expressions.registry import FILTERS, TESTS

CODES = {"expression_syntax", "expression_error", "expression_undefined", "expression_budget"}
SCOPE: dict[str, Any] = {
    "a": 3,
    "b": "text",
    "c": [1, "x", None, 2.5, {"k": [True]}],
    "d": {"k": "v", "n": {"m": 1}},
    "e": "2026-01-31T12:00:00Z",
    "f": 0.5,
    "g": None,
}

texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
plain_texts = texts.filter(lambda text: "{{" not in text)
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers


def json_values(leaves: st.SearchStrategy[Any], keys: st.SearchStrategy[str] = texts) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
    )


OPERATORS = ("+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or")
MARKS = ("|", ".", ",", ":", "(", ")", "[", "]", "{", "}", "=", "not", "is", "if", "else", "}}", "{{")
LITERALS = ("0", "1", "-2", "1.5", "10**9", "'s'", "''", "'%d'", "none", "true")
TEST_NAMES = sorted(name for name in TESTS if name.isidentifier())

tokens = st.sampled_from([*SCOPE, "missing", "k", "__class__", *FILTERS, *TESTS, *OPERATORS, *MARKS, *LITERALS])
token_soup = st.lists(tokens, max_size=14).map(" ".join)
atoms = st.sampled_from(
    [*SCOPE, "missing", "1", "-2.5", "''", "'s'", "[]", "{}", "true", "none", "2**63", "c[0]", "d.n"]
)


def compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Texts that parse: every operator, every filter with up to two arguments, every test."""
    operators = st.sampled_from(OPERATORS)
    arguments = st.lists(inner, max_size=2).map(", ".join)
    names = st.sampled_from(sorted(FILTERS))
    return (
        st.tuples(inner, operators, inner).map("({0[0]} {0[1]} {0[2]})".format)
        | st.tuples(inner, names, arguments).map("({0[0]} | {0[1]}({0[2]}))".format)
        | st.tuples(inner, names, inner).map("([{0[0]}] | map('{0[1]}', {0[2]}))".format)
        | st.tuples(inner, st.sampled_from(TEST_NAMES), arguments).map("({0[0]} is {0[1]}({0[2]}))".format)
        | st.tuples(inner, inner, inner).map("({0[0]} if {0[1]} else {0[2]})".format)
        | st.tuples(inner, inner).map("{0[0]}[{0[1]}]".format)
        | st.tuples(inner, inner).map("[{0[0]}, {{'k': {0[1]}}}]".format)
    )


def error_of(action: Callable[[], Any]) -> ExpressionError | None:
    """What it raised; any other exception is the test's failure."""
    try:
        action()
    except ExpressionError as error:
        return error
    return None


def check_expression(text: str) -> None:
    """Evaluating gives JSON, or an error that a filter or operator foresaw."""
    values: list[Any] = []
    error = error_of(lambda: values.append(compile_expression(text).evaluate(SCOPE)))
    if error is None:
        assert json.loads(json.dumps(values[0])) == values[0]
    else:
        assert error.code in CODES
        assert "don't fit" not in error.message, f"{text}: {error.__cause__!r}"


@given(st.one_of(st.text(max_size=60), token_soup))
@example("{{")
@example("a|map('map','map')")
@example("'\\N{DIGIT ONE}'")
@example("0x" + "f" * 6000)
@example("1__0")
@example("a.1e5")
@example("\u2028 a")
@example("a\r\n+\r\n1")
def test_it_works_or_raises_an_expression_error(text: str) -> None:
    check_expression(text)


@given(st.recursive(atoms, compound, max_leaves=6))
@example("(2**63 | int(2, 36))")
def test_every_expression_that_parses_gives_json_or_an_expression_error(text: str) -> None:
    check_expression(text)


@given(st.text(max_size=60) | token_soup.map(lambda soup: f"x {{{{ {soup} }}}}"))
def test_a_template_parses_exactly_if_it_has_no_faults(text: str) -> None:
    error = error_of(lambda: compile_template({"k": [text]}))
    expected = [] if error is None else [("/k/0", "expression_syntax")]
    assert [(fault.pointer, fault.code) for fault in faults({"k": [text]})] == expected


@given(json_values(scalars | plain_texts, plain_texts))
def test_a_constant_renders_to_an_equal_value(value: Any) -> None:
    template = compile_template(value)
    assert template.is_constant
    assert not template.references
    assert template.render({}) == value


@given(json_values(scalars | texts | st.just("{{ a }}") | st.just("{% raw %}")))
def test_data_comes_out_as_it_went_in(value: Any) -> None:
    """Whatever it looks like; and what comes out is a copy."""
    scope = {"inputs": {"data": value}}
    rendered = compile_template({"x": ["{{ inputs.data }}"]}).render(scope)["x"][0]
    assert rendered == value
    assert type(rendered) is type(value)
    assert not isinstance(rendered, (list, dict)) or rendered is not value


@given(texts, texts)
def test_text_around_data_is_kept(before: str, data: str) -> None:
    if "{" not in before:
        assert compile_template(f"{before}|{{{{ x }}}}").render({"x": data}) == f"{before}|{data}"


@given(texts)
def test_a_text_literal_is_that_text(text: str) -> None:
    literal = text.replace("\\", "\\\\").replace("'", "\\'").replace("\r", "\\r").replace("\n", "\\n")
    assert compile_expression(f"'{literal}'").evaluate({}) == text


@given(json_values(scalars | texts))
def test_json_and_back_is_the_same(value: Any) -> None:
    assert compile_expression("x | tojson | fromjson == x").evaluate({"x": value}) is True


@given(st.lists(numbers | st.booleans()) | st.lists(texts))
def test_lists_are_ordered_as_python_does(values: list[Any]) -> None:
    scope = {"x": values}
    assert compile_expression("x | sort").evaluate(scope) == sorted(values)
    assert compile_expression("x | unique").evaluate(scope) == list(dict.fromkeys(values))
    assert compile_expression("x | reverse").evaluate(scope) == values[::-1]


@given(json_values(scalars | texts))
def test_truth_is_pythons_but_for_one_word(value: Any) -> None:
    assert truthy(value) is (bool(value) and not (isinstance(value, str) and value.lower() == "false"))


def test_compiled_objects_are_shared_between_threads() -> None:
    template = compile_template(
        {"sum": "{{ x | map('int') | sum }}", "text": "{{ i }}/{{ x | length }}", "n": "{{ y }}"}
    )
    start = threading.Barrier(8)
    wrong: list[Any] = []

    def work(number: int) -> None:
        start.wait()
        for count in range(200):
            rendered = template.render({"x": ["1"] * count, "i": number, "y": {"of": [number]}})
            if rendered != {"sum": count, "text": f"{number}/{count}", "n": {"of": [number]}}:
                wrong.append(rendered)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
