"""What is remembered for a moment."""

import pytest

from flowforge.core.recent import Recent


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_it_works(clock):
    recent, loads = Recent(ttl_seconds=1, monotonic=clock), []
    for moment in (0.0, 0.5, 0.99, 1.0):
        clock.now = moment
        recent.get("key", lambda: loads.append(clock.now))
    assert loads == [0.0, 1.0]


def test_it_rejects_what_became_old_while_it_was_read(clock):
    recent = Recent(ttl_seconds=1, monotonic=clock)

    def slow() -> str:
        clock.now += 0.9
        return "as it was before"

    recent.get("key", slow)
    clock.now += 0.2
    assert recent.get("key", lambda: "as it is") == "as it is"


def test_it_remembers_that_there_is_nothing(clock):
    recent, loads = Recent(ttl_seconds=1, monotonic=clock), []
    assert [recent.get("key", lambda: loads.append(1)) for _ in range(2)] == [None, None]
    assert loads == [1]


def test_a_failure_is_not_remembered(clock):
    recent = Recent(ttl_seconds=1, monotonic=clock)
    with pytest.raises(ZeroDivisionError):
        recent.get("key", lambda: 1 // 0)
    assert recent.get("key", lambda: 1) == 1


def test_strangers_do_not_fill_the_memory(clock):
    recent = Recent(ttl_seconds=1, max_size=10, monotonic=clock)
    for number in range(1000):
        recent.get(number, lambda: None)
    assert len(recent._entries) <= 10


def test_what_is_cleared_is_read_again(clock):
    recent = Recent(ttl_seconds=1, monotonic=clock)
    recent.get("key", lambda: "before")
    recent.clear()
    assert recent.get("key", lambda: "after") == "after"
