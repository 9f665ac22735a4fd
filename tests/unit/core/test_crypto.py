"""Secrets at rest: AES-256-GCM under a ring of keys, each value bound to its place."""

import pytest

from flowforge.core.crypto import KeyRing, Unsealable, derive, key_ring

PLACE = "webhooks.endpoint:1:secret"


def test_it_works() -> None:
    ring = KeyRing(["new"], "tests")
    sealed = ring.seal(b"s3cret", context=PLACE)

    assert ring.unseal(sealed, context=PLACE) == b"s3cret"
    assert ring.unseal(memoryview(sealed), context=PLACE) == b"s3cret"
    assert ring.is_current(sealed)
    assert b"s3cret" not in sealed


def test_the_same_value_is_sealed_differently_each_time() -> None:
    ring = KeyRing(["new"], "tests")

    assert ring.seal(b"same", context=PLACE) != ring.seal(b"same", context=PLACE)


def test_older_keys_open_and_the_newest_seals() -> None:
    sealed = KeyRing(["old"], "tests").seal(b"s3cret", context=PLACE)
    ring = KeyRing(["new", "old"], "tests")

    assert not ring.is_current(sealed)
    again = ring.reseal(sealed, context=PLACE)
    assert ring.is_current(again)
    assert KeyRing(["new"], "tests").unseal(again, context=PLACE) == b"s3cret"


def test_it_rejects_what_was_altered_anywhere() -> None:
    ring = KeyRing(["new"], "tests")
    sealed = ring.seal(b"s3cret", context=PLACE)
    for place in range(len(sealed)):
        altered = bytearray(sealed)
        altered[place] ^= 1
        with pytest.raises(Unsealable):
            ring.unseal(bytes(altered), context=PLACE)


@pytest.mark.parametrize("length", [0, 1, 9, 21, 36])
def test_it_rejects_what_is_too_short(length: int) -> None:
    ring = KeyRing(["new"], "tests")
    sealed = ring.seal(b"", context=PLACE)

    with pytest.raises(Unsealable):
        ring.unseal(sealed[:length], context=PLACE)


def test_it_rejects_a_value_from_another_place_purpose_or_ring() -> None:
    ring = KeyRing(["new"], "tests")
    sealed = ring.seal(b"s3cret", context=PLACE)

    for other, context in (
        (ring, "webhooks.endpoint:2:secret"),
        (KeyRing(["new"], "others"), PLACE),
        (KeyRing(["lost"], "tests"), PLACE),
    ):
        with pytest.raises(Unsealable):
            other.unseal(sealed, context=context)


def test_it_rejects_an_empty_ring() -> None:
    with pytest.raises(ValueError, match="needs a key"):
        KeyRing([], "tests")


def test_a_ring_is_made_once_for_a_purpose() -> None:
    assert key_ring(("a", "b"), "tests") is key_ring(("a", "b"), "tests")
    assert key_ring(("a", "b"), "tests") is not key_ring(("a", "b"), "others")


def test_keys_of_two_purposes_differ() -> None:
    assert derive("secret", "one") != derive("secret", "two")
