"""Hints to drive never enter Celery's pool: the loop that hears them puts them down for the drivers."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from flowforge.cli import consumer
from flowforge.core import bell, clock
from flowforge.core.ids import new_id
from flowforge.engine.drivers import Drivers


@dataclass
class Message:
    payload: Any
    headers: dict[str, Any] = field(default_factory=lambda: {"task": bell.DRIVE, "expires": None})


@pytest.fixture
def drivers(monkeypatch: pytest.MonkeyPatch) -> Drivers:
    """With room for two hints, and nobody who drives."""
    made = Drivers()
    made.start(lambda call: False, most=1, room=2)
    monkeypatch.setattr(consumer, "drivers", made)
    return made


def message(*run_ids: object, **headers: Any) -> Message:
    return Message([list(map(str, run_ids)), {}, {}], {"task": bell.DRIVE, "expires": None} | headers)


def test_it_works(drivers: Drivers) -> None:
    first, second = new_id(), new_id()
    fresh = (clock.now() + timedelta(seconds=60)).isoformat()
    assert consumer._put_down(message(first, second, expires=fresh))
    assert drivers.take(10) == ([], [first, second])


def test_what_there_is_no_room_for_is_left_to_the_pool_which_waits(drivers: Drivers) -> None:
    assert not consumer._put_down(message(new_id(), new_id(), new_id()))


@pytest.mark.parametrize(
    "given",
    [
        message(new_id(), task=bell.WORK),
        message(new_id(), expires="2001-01-01T00:00:00+00:00"),
        message(new_id(), expires="tomorrow"),
        message("no id"),
        Message([]),
        Message(None),
    ],
)
def test_it_rejects_what_is_no_fresh_hint_to_drive(drivers: Drivers, given: Message) -> None:
    assert not consumer._put_down(given)
    assert drivers.take(10) == ([], [])
