"""YAML in and out."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from flowforge.core.json import JsonError
from workflows.services.yaml_text import dump, load

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
leaves = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
words = st.sampled_from(
    [
        "a\x85b",
        "a\u2028b",
        "a\r\nb",
        " a\n b \n",
        "\n",
        "\ufeff",
        "\t",
        "a: b",
        "- a",
        "#",
        "on",
        "no",
        "true",
        "null",
        "~",
        "",
        "1e3",
        "0o17",
        "0x1F",
        "010",
        "12:30",
        "2026-01-01",
        ".inf",
        "<<",
        "=",
    ]
)
documents = st.recursive(
    leaves | texts | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts | words, inner, max_size=4),
    max_leaves=12,
)


def test_it_works() -> None:
    text = """
    on: failure      # a key, not a boolean
    when: "true"
    no: no
    day: 2026-01-01
    time: 12:30
    numbers: [010, 0o10, 0x1F, -3, 1e3, .5]
    nothing: [~, null, ]
    yes: [true, False]
    shared: &s {a: 1}
    again: *s
    forced: [!!str 1, !!int "2", !!float 3]
    """
    assert load(text.encode()) == {
        "on": "failure",
        "when": "true",
        "no": "no",
        "day": "2026-01-01",
        "time": "12:30",
        "numbers": [10, 8, 31, -3, 1000.0, 0.5],
        "nothing": [None, None],
        "yes": [True, False],
        "shared": {"a": 1},
        "again": {"a": 1},
        "forced": ["1", 2, 3.0],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a: 1\na: 2", "duplicate key 'a' at line 2, column 1"),
        (b"1: x", "keys must be text"),
        (b"? [a]\n: x", "keys must be text"),
        (b"a: [", "line 2, column 1"),
        (b"\xff", "not UTF-8"),
        (b"a: .nan", "NaN"),
        (b"a: -.inf", "Infinity"),
        (b"a: 1e999", "Infinity"),
        (b'a: "\\0"', "NUL"),
        (b"a: 99999999999999999999", "integer beyond 64 bits"),
        (b"a: " + b"9" * 5000, "integer beyond 64 bits"),
        (b"--- 1\n--- 2", "a second document"),
        (b"a: &x [*x]", "alias to nothing finished yet"),
        (b"a: *x", "alias to nothing finished yet"),
        (b"!!python/object/apply:os.system [ls]", "unknown tag"),
        (b"a: !!python/name:os.system x", "unknown tag"),
        (b"a: !!timestamp 2026-01-01", "unknown tag"),
        (b"a: !!int x", "is not int"),
        (b"a: !!bool on", "is not bool"),
    ],
)
def test_it_rejects_what_json_has_not(text: bytes, message: str) -> None:
    with pytest.raises(JsonError, match=message):
        load(text)


@pytest.mark.parametrize("text", [b"[" * 200_000, b"- " * 200_000, b"{a: " * 200_000])
def test_it_rejects_deep_nesting_before_it_costs_anything(text: bytes) -> None:
    with pytest.raises(JsonError, match="nested deeper than 64"):
        load(text)


@pytest.mark.parametrize("first", ["[x, x, x, x, x, x, x, x, x]", "y" * 100_000])
def test_it_rejects_alias_bombs(first: str) -> None:
    lines = [f"a0: &a0 {first}"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    with pytest.raises(JsonError, match="aliases written out"):
        load("\n".join(lines).encode())


@given(documents)
def test_what_is_written_reads_back(document: Any) -> None:
    assert load(dump(document).encode()) == document


@given(st.dictionaries(words, words))
def test_readers_of_yaml_1_1_read_the_same(document: Any) -> None:
    assert yaml.safe_load(dump(document)) == document


def test_long_texts_are_blocks() -> None:
    assert dump({"code": "def main():\n    return 1\n"}) == "code: |\n  def main():\n      return 1\n"
