"""Slots: how many hints are answered at a time, and who gives way."""

import threading
from collections.abc import Iterator

import pytest

from flowforge.engine import pools


@pytest.fixture(autouse=True)
def _slots() -> Iterator[None]:
    pools.open_slots({"control": 1})
    yield
    pools.open_slots({})


def test_it_works() -> None:
    with pools.slot("control"):
        assert pools.is_full("control")
    assert not pools.is_full("control")


def test_a_long_step_gives_its_slot_back_once() -> None:
    with pools.slot("control"):
        release = pools.slot_of_this_thread()
        assert release is not None
        release()
        release()
        assert not pools.is_full("control")
    assert not pools.is_full("control")
    assert pools.slot_of_this_thread() is None


def test_whoever_comes_later_waits() -> None:
    begun, done = threading.Event(), threading.Event()

    def second() -> None:
        begun.set()
        with pools.slot("control"):
            done.set()

    with pools.slot("control"):
        thread = threading.Thread(target=second)
        thread.start()
        assert begun.wait(5)
        assert not done.wait(0.05)
    assert done.wait(5)
    thread.join()


def test_a_queue_that_was_not_opened_has_no_bound() -> None:
    with pools.slot("gpu"):
        assert not pools.is_full("gpu")
        assert pools.slot_of_this_thread() is None
