"""What would take long, or much memory, is refused before it does."""

import time
import tracemalloc
from typing import Any

import pytest

from flowforge.kernel.expressions import ExpressionError, compile_expression, compile_template
from flowforge.kernel.expressions.budget import MAX_DEPTH, MAX_SIZE, MAX_STEPS

LONG = "x" * 1_000_000


def nested(inner: str, text: str, times: int) -> str:
    for _ in range(times):
        inner = text.replace("{}", inner)
    return inner


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


SCOPE: dict[str, Any] = {
    "many": list(range(50_000)),
    "texts": [f"{LONG[:5000]}{index}" for index in range(200)],
    "twins": [LONG + "a", "".join([LONG, "a"])] * 25_000,
    "long": LONG,
    "twin": "".join([LONG, "a"]),
    "rows": [{"a": index % 7, "b": {"c": [index] * 10}} for index in range(10_000)],
    "deep": deep(60),
    "other": {"rows": [[0] * 100 for _ in range(1_000)] + [1]},
    "big": {"rows": [[0] * 100 for _ in range(1_000)]},
}


def evaluate(text: str) -> Any:
    return compile_expression(text).evaluate(SCOPE)


BREACHES = [
    # repeating and joining
    "'a' * 10 ** 9",
    "10 ** 9 * 'a'",
    "[0] * 10 ** 9",
    "[[0] * 1000] * 1000 * 1000",
    nested("[1]", "({} * 100)", 12),
    nested("'abc'", "({} ~ {})", 8) + " * 100000",
    "long * 9",
    "[big] * 100",
    "[big] * 100 ~ ''",
    "([big] * 100) | tojson",
    "'a' ~ [many, many, many, many, many, many, many, many, many, many, many, many]",
    # numbers
    "2 ** 64",
    "2 ** 10 ** 9",
    "9 ** 9 ** 9 ** 9",
    "(-2) ** 65",
    "9223372036854775807 * 9223372036854775807",
    "18446744073709551615 + 1",
    "-(2 ** 63) - 1",
    "1e300 | int",
    "[18446744073709551615, 1] | sum",
    # one big value in many places: small in memory, endless to go through
    nested("[0]", "([{}, {}] * 1000)", 3) + " | tojson",
    nested("1", "(['', ''] * 500) | map('default', {}, true)", 4) + " ~ ''",
    "many | map('default', many, true) | map('tojson')",
    "rows | map(attribute='x', default=rows | map(attribute='x', default=rows)) | tojson",
    "([big] * 100) == ([big] * 100)",
    "([big] * 100) | unique",
    "([big] * 100) | hash",
    "big in [other] * 1000",
    # text read, replaced and taken apart
    "many | map('string') | map('replace', '', long)",
    "long | replace('', long)",
    "long | replace('x', 'y' * 100)",
    "many | join(long)",
    "twins | select('eq', twin)",
    "twins | reject('lt', twin)",
    "twins | sort",
    "twins | unique",
    "twins | max",
    "twins | map('upper')",
    "twins | map('hash')",
    "twins | map('title')",
    "twins | select('contains', 'b')",
    "twins | join",
    "'b' ~ long in twins",
    "long | list + long | list + long | list",
    "(long * 3) | split('x')",
    "long | replace('x', 'x ') | split",
    "long | urlencode | urlencode | urlencode",
    "long | b64encode | b64encode | b64encode | b64encode",
    "(('[' * 60 ~ ']' * 60 ~ ',') * 20000 ~ '1') | fromjson",
    "('[' ~ '1,' * 900000 ~ '1]') | fromjson",
    # loops
    "many | select('in', many)",
    "many | select('eq', 1) + many | select('eq', 1) + many | sort",
    "([1] * 100000) | batch(1) | map('batch', 1)",
    "many | slice(10000) | map('slice', 10000)",
    "['', ''] | map('default', many, true) | map('map', 'string') | map('map', 'upper')",
    "many | map('date')",
    "many | map('string') | map('fromjson')",
    # depth
    "[[[[[deep]]]]]",
    "[[[[[deep]]]]] | tojson",
]


def test_it_works() -> None:
    """What honest workflows do stays within the budget."""
    assert evaluate("rows | selectattr('a', 'eq', 3) | map(attribute='b.c.0') | sum") == sum(range(3, 10_000, 7))
    assert evaluate("rows | map(attribute='a') | unique | sort | join(',')") == "0,1,2,3,4,5,6"
    assert len(evaluate("rows | tojson")) > 400_000
    assert evaluate("long | upper | lower | length") == 1_000_000
    assert len(evaluate("big.rows")) == 1_000
    assert evaluate("49999 in many") is True


@pytest.mark.parametrize("text", BREACHES)
def test_it_rejects_in_time_and_memory(text: str) -> None:
    """The thread's own time is counted: other work on the machine is no fault."""
    compiled = compile_expression(text)
    started = time.thread_time()
    with pytest.raises(ExpressionError) as caught:
        compiled.evaluate(SCOPE)
    assert time.thread_time() - started < 2  # some tenths of a second on a quiet machine
    assert caught.value.code == "expression_budget"
    assert caught.value.position is not None


def test_memory_is_refused_before_it_is_taken() -> None:
    tracemalloc.start()
    try:
        for text in BREACHES[:5]:
            with pytest.raises(ExpressionError):
                evaluate(text)
        assert tracemalloc.get_traced_memory()[1] < 2 * MAX_SIZE
    finally:
        tracemalloc.stop()


def test_a_template_has_one_budget() -> None:
    """Else a definition of a thousand texts could take a thousand times as much."""
    half = "{{ 'x' * 5000000 }}"
    assert len(compile_template([half]).render({})[0]) == 5_000_000
    with pytest.raises(ExpressionError) as caught:
        compile_template([half, half]).render({})
    assert caught.value.code == "expression_budget"


def test_a_constant_costs_nothing() -> None:
    """What the author wrote was limited when it came in."""
    long = "x" * (MAX_SIZE + 1)
    assert compile_template([long, "{{ 1 }}"]).render({}) == [long, 1]


def test_the_limits_are_exact() -> None:
    assert evaluate(f"'x' * {MAX_SIZE}") == "x" * MAX_SIZE
    with pytest.raises(ExpressionError):
        evaluate(f"'x' * {MAX_SIZE + 1}")
    steps = MAX_STEPS - 10
    assert compile_expression("x | select | length").evaluate({"x": [0] * steps}) == 0
    with pytest.raises(ExpressionError):
        compile_expression("x | select | length").evaluate({"x": [0] * MAX_STEPS})
    assert compile_expression("x").evaluate({"x": deep(MAX_DEPTH - 1)}) == deep(MAX_DEPTH - 1)
    with pytest.raises(ExpressionError):
        compile_expression("x").evaluate({"x": deep(MAX_DEPTH)})
