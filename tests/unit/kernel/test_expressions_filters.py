"""Every filter and test of the expression language: what it gives, what it refuses."""

from typing import Any

import pytest

from flowforge.kernel.expressions import ExpressionError, compile_expression
from flowforge.kernel.expressions.registry import FILTERS, TESTS

ROWS = [
    {"id": 2, "name": "Bo", "tags": ["x"], "at": {"city": "Rom"}},
    {"id": 1, "name": "al", "tags": [], "at": {"city": "Ulm"}},
    {"id": 3, "name": "Al", "tags": ["x", "y"]},
]
SCOPE = {"rows": ROWS, "now": "2026-01-31T12:00:00.000000Z", "words": ["b", "A", "a", "B"]}
SHA256_OF_A = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"


def evaluate(text: str) -> Any:
    return compile_expression(text).evaluate(SCOPE)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # text
        ("'straße' | upper", "STRASSE"),
        ("'ABC' | lower", "abc"),
        ("'hELLO wORLD' | capitalize", "Hello world"),
        ('"it\'s (a) well-known fact" | title', "It's (A) Well-Known Fact"),
        ("' a ' | trim", "a"),
        ("'--a-' | trim('-')", "a"),
        ("'a.b.c' | replace('.', '::')", "a::b::c"),
        ("'aaa' | replace('a', 'b', 2)", "bba"),
        ("'ab' | replace('', '-')", "-a-b-"),
        ("' a  b ' | split", ["a", "b"]),
        ("'a,b,c' | split(',')", ["a", "b", "c"]),
        ("'a,b,c' | split(',', 1)", ["a", "b,c"]),
        ("'abc' | startswith('ab') and not 'abc' | endswith('ab')", True),
        # numbers
        ("-3 | abs", 3),
        ("2 - 3 | abs", -1),
        ("2.567 | round(2)", 2.57),
        ("2.5 | round", 2.0),
        ("7 | round", 7),
        ("1250 | round(-2)", 1200),
        ("2.1 | round(method='ceil')", 3.0),
        ("2.19 | round(1, 'floor')", 2.1),
        ("1e308 | round(20, 'ceil')", 1e308),
        # conversions
        ("'42' | int", 42),
        ("' -7 ' | int", -7),
        ("'3.9' | int", 3),
        ("-3.9 | int", -3),
        ("true | int", 1),
        ("'ff' | int(base=16)", 255),
        ("'x' | int(0)", 0),
        ("none | int(default=none)", None),
        ("'1e3' | float", 1000.0),
        ("2 | float", 2.0),
        ("'nan' | float(-1)", -1),
        ("1.0 | string", "1.0"),
        ("none | string", ""),
        ("{'a': [none]} | string", '{"a":[null]}'),
        ("'False' | bool or 0 | bool", False),
        ("[1] | bool", True),
        ("{'a': 'é\"'} | tojson", '{"a":"é\\""}'),
        ("'x' | tojson", '"x"'),
        ("'[1, {\"a\": null}]' | fromjson", [1, {"a": None}]),
        ("['', 'a'] | map('default', '-', true)", ["-", "a"]),
        # lists
        ("words | first ~ words | last", "bB"),
        ("'xyz' | first ~ 'xyz' | last", "xz"),
        ("words | reverse", ["B", "a", "A", "b"]),
        ("'abc' | reverse", "cba"),
        ("'ab' | list", ["a", "b"]),
        ("{'k': 1} | list", ["k"]),
        ("[1, none, 'a', true] | join('-')", "1--a-true"),
        ("rows | join(', ', attribute='name')", "Bo, al, Al"),
        ("[] | join", ""),
        ("[1, 2.5] | sum", 3.5),
        ("rows | sum(attribute='id', start=10)", 16),
        ("[3, 1, 2.5] | min", 1),
        ("words | max", "b"),
        ("rows | max(attribute='id') == rows[2]", True),
        ("words | sort", ["A", "B", "a", "b"]),
        ("words | sort(case_sensitive=false)", ["A", "a", "b", "B"]),
        ("[1, 3, 2] | sort(reverse=true)", [3, 2, 1]),
        ("rows | sort(attribute='id') | map(attribute='id')", [1, 2, 3]),
        ("[2, 1, 2, 1.0] | unique", [2, 1]),
        ("words | unique", ["b", "A", "a", "B"]),
        ("words | unique(false)", ["b", "A"]),
        ("[{'a': 1, 'b': 2}, {'b': 2, 'a': 1}, [1], [1]] | unique", [{"a": 1, "b": 2}, [1]]),
        ("[none, 0, '', none] | unique", [None, 0, ""]),
        ("[[1], [2, [3]], 4] | flatten", [1, 2, [3], 4]),
        ("[1, 2, 3] | batch(2)", [[1, 2], [3]]),
        ("[1, 2, 3] | batch(2, 0)", [[1, 2], [3, 0]]),
        ("[1, 2, 3, 4, 5] | slice(3)", [[1, 2], [3, 4], [5]]),
        ("[] | slice(2)", [[], []]),
        ("words | length + {'a': 1} | count + 'abc' | length", 8),
        # selections
        ("words | map('upper') | list", ["B", "A", "A", "B"]),
        ("['1', 'x'] | map('int', default=0)", [1, 0]),
        ("[[2, 1], [3]] | map('map', 'string')", [["2", "1"], ["3"]]),
        ("rows | map(attribute='at.city', default='?')", ["Rom", "Ulm", "?"]),
        ("rows[:1] | map(attribute='tags.0')", ["x"]),
        ("[0, 1, '', 'a'] | select", [1, "a"]),
        ("[0, 1, '', 'a'] | reject", [0, ""]),
        ("[1, 2, 3] | select('odd')", [1, 3]),
        ("[1, 2, 3] | reject('>', 1)", [1]),
        ("rows | selectattr('tags') | map(attribute='id')", [2, 3]),
        ("rows | rejectattr('at') | map(attribute='id')", [3]),
        ("rows | selectattr('at', 'defined') | map(attribute='id')", [2, 1]),
        ("rows | selectattr('at', 'undefined') | map(attribute='id')", [3]),
        ("rows | selectattr('tags', 'contains', 'y') | map(attribute='id')", [3]),
        ("rows | rejectattr('id', 'in', [1, 2]) | map(attribute='id')", [3]),
        # objects
        ("{'a': 1, 'b': 2} | items", [["a", 1], ["b", 2]]),
        ("{'a': 1, 'b': 2} | keys + {'a': 1} | values", ["a", "b", 1]),
        ("{'a': 1, 'b': 2} | combine({'b': 3}, {'c': 4})", {"a": 1, "b": 3, "c": 4}),
        # encodings
        ("'a' | hash", SHA256_OF_A),
        ("'a' | hash('md5')", "0cc175b9c0f1b6a831c399e269772661"),
        ("{'b': 1, 'a': 2} | hash == {'a': 2, 'b': 1} | hash", True),
        ("'a b/ü?' | urlencode", "a%20b/%C3%BC%3F"),
        ("{'a b': 'c/d', 'n': 1} | urlencode", "a+b=c%2Fd&n=1"),
        ("'ü' | b64encode", "w7w="),
        ("'w7w' | b64decode", "ü"),
        ("'Pz8_' | b64decode", "???"),
        # moments
        ("now | date", "2026-01-31T12:00:00.000000Z"),
        ("now | date('%d.%m.%Y %H:%M')", "31.01.2026 12:00"),
        ("now | date('%H:%M %Z', timezone='Europe/Berlin')", "13:00 CET"),
        ("now | date('%F', days=1, hours=-13)", "2026-01-31"),
        ("now | date('%F', months=1)", "2026-02-28"),
        ("now | date('%F', months=-12, weeks=1)", "2025-02-07"),
        ("'2026-03-29T00:30' | date(timezone='Europe/Berlin', hours=2)", "2026-03-29T01:30:00.000000Z"),
        ("'2026-07-01' | date", "2026-07-01T00:00:00.000000Z"),
        ("'2026-07-01T10:00:00+02:00' | date", "2026-07-01T08:00:00.000000Z"),
        ("'31/12/2025 18' | date('%F', parse='%d/%m/%Y %H')", "2025-12-31"),
        ("0 | date(seconds=1.5)", "1970-01-01T00:00:01.500000Z"),
        ("now | timestamp", 1769860800.0),
        ("now | date(hours=1) | timestamp - now | timestamp", 3600.0),
        ("now | date('100%%')", "100%"),
        # tests
        ("none is none and 0 is not none and none is null", True),
        ("true is true and 1 is not true and false is false and 0 is not false", True),
        ("true is boolean and 1 is integer and true is not integer and 1.0 is float", True),
        ("1 is number and true is not number and 'a' is string", True),
        ("{} is mapping and [] is sequence and 'a' is not sequence and 'a' is iterable", True),
        ("[] is list and 2 is even and 3 is odd and 9 is divisibleby 3", True),
        ("1 is eq 1 and 1 is ne 2 and 1 is lt 2 and 1 is le 1 and 2 is gt 1 and 1 is ge 1", True),
        ("'a' is in ['a'] and ['a'] is contains 'a' and 'abc' is contains('b')", True),
        ("'abc' is startswith 'a' and 'abc' is endswith 'c'", True),
    ],
)
def test_it_works(text: str, value: Any) -> None:
    found = evaluate(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "1 | upper",
        "none | trim",
        "'a' | trim('x' * 101)",
        "'a' | replace('a', 1)",
        "'a' | replace('a', 'b', -1)",
        "'a' | split(1)",
        "'a' | abs",
        "1.5 | round(21)",
        "1.5 | round(1.0)",
        "1.5 | round(method='up')",
        "'x' | int",
        "'' | int",
        "[1] | int",
        "'ff' | int(base=37)",
        "('9' * 401) | int",
        "'inf' | float",
        "'' | float",
        "1 | length",
        "none | length",
        "'{' | fromjson",
        "'NaN' | fromjson",
        r"'\"\\u0000\"' | fromjson",
        '\'{"a": 1, "a": 2}\' | fromjson',
        "1 | first",
        "'ab' | map('upper')",
        "{'a': 1} | select",
        "[1] | map",
        "[1] | map(attribute='a', other=1)",
        "[1] | map(words[0])",
        "[1] | select(words[0])",
        "['a'] | sum",
        "['a', 1] | sort",
        "[none] | sort",
        "[[1]] | max",
        "[1] | batch(0)",
        "[1] | slice(0)",
        "[1] | slice(true)",
        "[1] | items",
        "{'a': 1} | combine([1])",
        "'a' | hash('crc32')",
        "'a' | hash(['md5'])",
        "'%%%' | b64decode",
        "'/w==' | b64decode",
        "'AA==' | b64decode",
        "'yesterday' | date",
        "none | date",
        "true | date",
        "1e300 | date",
        "now | date('%s')",
        "now | date('%999999d')",
        "now | date('%')",
        "now | date('%-d')",
        "now | date('x' * 101)",
        "now | date(timezone='Mars/Olympus')",
        "now | date(timezone='../../etc/passwd')",
        "now | date(timezone='')",
        "now | date(timezone='Europe')",
        "now | date(days='1')",
        "now | date(days=10 ** 13)",
        "now | date(days=10 ** 9)",
        "now | date(months=0.5)",
        "now | date(months=10 ** 6)",
        "'x' | date(parse='%Y')",
        "'x' | date(parse='%!')",
        "'a' is even",
        "1 is divisibleby 0",
        "1 is lt 'a'",
        "1 is startswith 'a'",
    ],
)
def test_it_rejects_values_that_do_not_fit(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate(text)
    assert caught.value.code == "expression_error"
    assert caught.value.position is not None
    assert "don't fit" not in caught.value.message, "an exception that no filter expected"


def test_a_filter_can_be_named_by_data() -> None:
    """It is still one of the registry's."""
    compiled = compile_expression("words | map(name) | first")
    assert compiled.evaluate({"words": ["a"], "name": "upper"}) == "A"
    with pytest.raises(ExpressionError, match="there is no filter '__class__'"):
        compiled.evaluate({"words": ["a"], "name": "__class__"})


def test_every_operation_takes_the_budget_and_a_value_first() -> None:
    for operation in (*FILTERS.values(), *TESTS.values()):
        first, second, *_ = operation.signature.parameters
        assert (first.lstrip("_"), second) == ("budget", "value"), operation.name
