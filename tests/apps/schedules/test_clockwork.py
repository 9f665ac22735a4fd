"""The thread that looks at schedules: at the moment, and through outages."""

import threading

import pytest
from django.db import DatabaseError

from flowforge.core import clock
from flowforge.schedules import clockwork
from flowforge.schedules.clockwork import Clockwork


@pytest.fixture
def watched(monkeypatch):
    """What the thread asks for: (name, event that it has), answered by `answers`."""
    seen = {"rounds": 0, "done": threading.Event()}

    def run_once(_now):
        seen["rounds"] += 1
        if seen["rounds"] == 1:
            raise DatabaseError("away")
        if seen["rounds"] == 2:
            raise RuntimeError("a fault of ours")
        seen["done"].set()

    monkeypatch.setattr(clockwork, "SECOND", clockwork.SECOND * 0)
    monkeypatch.setattr(clockwork, "run_once", run_once)
    monkeypatch.setattr(clockwork.selectors, "next_moment", lambda: None)
    return seen


def test_it_works(watched, caplog):
    """Neither an outage nor a fault ends it; `stop` does."""
    thread = Clockwork()
    thread.start()
    assert watched["done"].wait(10)
    thread.stop()
    assert "away" in caplog.text
    assert "a fault of ours" in caplog.text
    thread.stop()  # twice is no harm


def test_it_sleeps_until_something_is_due(monkeypatch, frozen_clock):
    thread = Clockwork()
    for after, expected in [(None, 0.005), (0.25, 0.25), (60, 1.0)]:
        coming = None if after is None else clock.now() + clockwork.SECOND * after
        monkeypatch.setattr(clockwork.selectors, "next_moment", lambda coming=coming: coming)
        thread._next_round = clock.now() + clockwork.SECOND * (0 if after is None else 1)
        assert thread._seconds_to_wait() == pytest.approx(expected)
