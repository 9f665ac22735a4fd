"""The frozen clock and the bell recorder."""

import random
from datetime import timedelta

from flowforge.core import bell as core_bell
from flowforge.core import clock
from flowforge.core.ids import new_id
from tests.support.bells import BellRecorder, Ring
from tests.support.clock import START, FrozenClock


def test_it_works(frozen_clock: FrozenClock) -> None:
    assert clock.now() == START == clock.now()
    frozen_clock.advance(90)
    assert clock.now() == START + timedelta(seconds=90)


def test_bells_are_kept_in_order(bell: BellRecorder) -> None:
    first, second = new_id(), new_id()
    core_bell.drive_now(first)
    core_bell.work_now(second, "process", count=2)
    assert bell.driven == [first]
    assert bell.worked == [(second, "process")] * 2


def test_bells_are_drained_until_none_is_left(bell: BellRecorder) -> None:
    runs = [new_id() for _ in range(5)]
    heard: list[Ring] = []

    def answer(ring: Ring) -> None:
        heard.append(ring)
        if len(heard) == 1:
            core_bell.drive_now(runs[-1])

    for run in runs[:-1]:
        core_bell.drive_now(run)
    assert bell.drain(answer, shuffle=random.Random(7), copies=2) == 10
    assert {ring.run_id for ring in heard} == set(runs)
    assert [ring.run_id for ring in heard[:8]] != sorted(runs[:-1] * 2)
