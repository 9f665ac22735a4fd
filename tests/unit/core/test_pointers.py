"""JSON pointers, by the examples of RFC 6901."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.core import pointers

DOCUMENT: dict[str, Any] = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "m~n": 8, " ": 7, 'k"l': 6}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [("", DOCUMENT), ("/foo", ["bar", "baz"]), ("/foo/0", "bar"), ("/", 0), ("/a~1b", 1), ("/m~0n", 8), ("/ ", 7)],
)
def test_it_works_for_the_examples_of_the_rfc(pointer: str, value: Any) -> None:
    assert pointers.resolve(DOCUMENT, pointer) == value


@pytest.mark.parametrize("pointer", ["/bar", "/foo/2", "/foo/-", "/foo/-1", "/foo/x", "/foo/0/x", "/foo/²"])
def test_it_rejects_what_leads_nowhere(pointer: str) -> None:
    with pytest.raises(KeyError):
        pointers.resolve(DOCUMENT, pointer)


@given(st.lists(st.text() | st.integers(0, 99)))
def test_a_path_survives(path: list[str | int]) -> None:
    assert pointers.tokens(pointers.pointer_of(path)) == [str(token) for token in path]
