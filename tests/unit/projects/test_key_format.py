"""How an API key looks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.projects import key_format


def test_it_works():
    key = key_format.generate()
    assert key.startswith("ffk_")
    assert key_format.is_plausible(key)
    assert len(key_format.hash_of(key)) == 64
    assert key.startswith(key_format.prefix_of(key))


@pytest.mark.parametrize("text", ["", "short", "fifteen-letters", "x" * 257, "ffk_" + "A" * 49])
def test_it_rejects_what_can_be_no_key(text):
    assert not key_format.is_plausible(text)


@given(st.integers(4, 52), st.sampled_from("ABCxyz019-_"))
def test_it_rejects_a_typing_error_anywhere(position, letter):
    key = key_format.generate()
    mistyped = key[:position] + letter + key[position + 1 :]
    assert key_format.is_plausible(mistyped) == (mistyped == key)


@given(st.text(min_size=16, max_size=256))
def test_a_prefix_never_shows_more_than_a_quarter(text):
    assert len(key_format.prefix_of(text)) <= min(12, len(text) // 4)
