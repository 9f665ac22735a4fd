"""JSON: strict on reading, fast on writing, forgiving towards what steps give back."""

import json as stdlib_json
import math
import uuid
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.core import json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), inner)
    ),
    max_leaves=15,
)
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.datetimes()
    | st.uuids(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(st.characters()) | st.integers() | st.none(), inner)
        | st.tuples(inner, inner)
        | st.frozensets(st.integers())
    ),
    max_leaves=15,
)


# --- reading ------------------------------------------------------------------------------------------------------


def test_it_works_there_and_back() -> None:
    value = {"a": [1, 2.5, None, True, "é\U0001f600"], "b": {"c": {}}, "big": 2**64 - 1, "small": -(2**63)}
    assert json.loads(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'{"a": 1, "a": 2}', "duplicate key 'a'"),
        (b'{"b": {"a": 1, "a": 2}}', "duplicate key 'a'"),
        (b'"\\u0000"', "NUL"),
        (b'{"\\u0000": 1}', "NUL"),
        (b'"\\ud800"', "surrogate"),
        (b'{"\\udc00x": 1}', "surrogate"),
        (b"NaN", "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"-Infinity", "Infinity"),
        (b"1e400", "out of range"),
        (b"-1e400", "out of range"),
        (b"18446744073709551616", "64 bits"),
        (b"-9223372036854775809", "64 bits"),
        (b"1" * 5000, "64 bits"),
        (b"[" * 65 + b"]" * 65, "deeper than 64"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "deeper than 64"),
        (b"[" * 100_000, "deeper than 64"),
        (b"\xff", "UTF-8"),
        (b"\xed\xa0\x80", "UTF-8"),
        ("{}".encode("utf-16"), "UTF-8"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b"", "Expecting value"),
        (b"{", "Expecting"),
        (b"[1,]", "Expecting|Illegal"),
        (b"{'a': 1}", "Expecting"),
        (b"1 2", "Extra data"),
        (b'"\n"', "control character"),
    ],
)
def test_it_rejects(raw: bytes, message: str) -> None:
    with pytest.raises(json.JsonError, match=message):
        json.loads(raw)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"[" * 64 + b"]" * 64, None),
        (b'"' + b"[" * 100 + b'"', "[" * 100),
        (b'"\\"' + b"[" * 100 + b'"', '"' + "[" * 100),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\\\\u0000"', "\\u0000"),
        (b"18446744073709551615", 2**64 - 1),
        (b"-9223372036854775808", -(2**63)),
        (b" null ", None),
    ],
)
def test_it_reads_what_only_looks_forbidden(raw: bytes, value: Any) -> None:
    found = json.loads(raw)
    assert value is None or found == value


@given(VALUES)
def test_what_is_written_is_read_as_it_was(value: Any) -> None:
    assert json.loads(json.dumps(value)) == value
    assert json.loads_trusted(json.text(value)) == value
    assert json.loads(stdlib_json.dumps(value).encode()) == value


@given(st.binary() | st.text().map(str.encode))
def test_reading_anything_gives_a_value_or_a_json_error(raw: bytes) -> None:
    try:
        value = json.loads(raw)
    except json.JsonError:
        return
    assert json.loads(json.dumps(value)) == value


# --- writing ------------------------------------------------------------------------------------------------------


def test_moments_are_written_in_utc_with_six_decimals() -> None:
    moment = datetime(2026, 1, 1, 14, 0, tzinfo=timezone(timedelta(hours=2)))
    assert json.dumps({"at": moment, "id": uuid.UUID(int=1)}) == (
        b'{"at":"2026-01-01T12:00:00.000000Z","id":"00000000-0000-0000-0000-000000000001"}'
    )
    assert json.dumps(datetime(2026, 1, 1, tzinfo=UTC)) == b'"2026-01-01T00:00:00.000000Z"'


def test_mappings_and_sets_are_written_as_objects_and_lists() -> None:
    assert (
        json.dumps({"m": MappingProxyType({"a": 1}), "s": frozenset({1}), "t": (1, 2)})
        == b'{"m":{"a":1},"s":[1],"t":[1,2]}'
    )


def test_it_rejects_to_write_what_is_not_json() -> None:
    with pytest.raises(TypeError):
        json.dumps(object())


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 9), min_size=2))
def test_the_canonical_form_does_not_depend_on_the_order(value: dict[str, int]) -> None:
    assert json.canonical(dict(reversed(value.items()))) == json.canonical(value)


# --- what steps give back -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "clean"),
    [
        (math.nan, None),
        ([math.inf, -math.inf], [None, None]),
        ("a\x00b", "a�b"),
        ("\ud800", "�"),
        ("\ud83d\ude00", "\U0001f600"),
        ({"k\x00": 1}, {"k�": 1}),
        ({1: "a"}, {"1": "a"}),
        (2**64, float(2**64)),
        (10**400, None),
        ((1, 2), [1, 2]),
        (b"raw", "b'raw'"),
        ({"s": {1}}, {"s": "{1}"}),
    ],
)
def test_what_cannot_be_stored_is_replaced_and_said(value: Any, clean: Any) -> None:
    assert json.sanitize(value) == (clean, True)


def test_what_can_be_stored_is_passed_on() -> None:
    value = {"a": [1, "x", None, 1.5, {"b": True}]}
    assert json.sanitize(value) == (value, False)


def test_what_nests_too_deep_becomes_text() -> None:
    value: Any = 1
    for _ in range(200):
        value = [value]
    clean, replaced = json.sanitize(value)
    assert replaced
    assert json.loads(json.dumps(clean)) == clean


@given(ANYTHING)
def test_anything_becomes_storable(value: Any) -> None:
    clean, _ = json.sanitize(value)
    assert json.loads(json.dumps(clean)) == clean
    assert json.sanitize(clean) == (clean, False)
