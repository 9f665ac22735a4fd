"""Hints go to the broker in a thread of their own: nobody who rings waits for it."""

import threading

from flowforge.core import ringer
from flowforge.core.ringer import Hint, Ringer


def test_it_works() -> None:
    """Whoever rings goes on although the broker does not answer; then all is carried, in order."""
    carried: list[Hint] = []
    answers, done = threading.Event(), threading.Event()

    def carry(name: str, args: list[str], queue: str) -> None:
        answers.wait(30)
        carried.append((name, args, queue))
        if name == "last":
            done.set()

    made = Ringer(carry)
    made.put("first", ["1"], "control")
    made.put("last", [], "default")
    assert carried == []
    answers.set()
    assert done.wait(30)
    assert carried == [("first", ["1"], "control"), ("last", [], "default")]


def test_of_too_many_the_oldest_are_lost() -> None:
    carried: list[str] = []
    begun, answers, done = threading.Event(), threading.Event(), threading.Event()

    def carry(name: str, _args: list[str], _queue: str) -> None:
        begun.set()
        answers.wait(30)
        carried.append(name)
        if name == "last":
            done.set()

    made = Ringer(carry)
    made.put("in hand", [], "")
    assert begun.wait(30)
    for number in range(ringer.KEPT):
        made.put(str(number), [], "")
    made.put("last", [], "")
    answers.set()
    assert done.wait(30)
    assert carried == ["in hand", *map(str, range(1, ringer.KEPT)), "last"]


def test_who_ends_waits_until_all_is_carried() -> None:
    answers, carried = threading.Event(), []

    def carry(name: str, _args: list[str], _queue: str) -> None:
        answers.wait(30)
        carried.append(name)

    made = Ringer(carry)
    assert made.flush(0.0), "nothing was rung"
    made.put("one", [], "")
    made.put("two", [], "")
    assert not made.flush(0.02), "but not for ever"
    answers.set()
    assert made.flush(30)
    assert carried == ["one", "two"]
