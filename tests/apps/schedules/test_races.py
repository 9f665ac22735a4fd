"""Many schedulers at the same moment, some of which die: one run a due time, none left out. On every database."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection

from flowforge.core import clock
from flowforge.schedules import clockwork, tasks
from flowforge.schedules.models import Backfill, Schedule
from flowforge.schedules.services import backfills, firing, saving
from flowforge.schedules.services.backfills import Span
from runs.models import Run
from tests import factories
from tests.apps.schedules.conftest import end_runs
from workflows.models import TriggerDecision

pytestmark = pytest.mark.django_db(transaction=True)

SCHEDULERS = 5
SCHEDULES = 20
SECONDS = 600


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours catches it, the database rolls back."""


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """What each of these gets, called at the same moment by a thread with its own connection."""
    barrier = threading.Barrier(len(calls))

    def one(call: Callable[[], Any]) -> Any:
        try:
            connection.ensure_connection()
            barrier.wait(30)
            return call()
        except Killed as killed:
            return killed
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(one, calls))


def secondly(workflow: Any, **fields: Any) -> Schedule:
    """Due every second from the next one on."""
    now = clock.now()
    coming = {"next_due_at": now + timedelta(seconds=1), "next_run_at": now + timedelta(seconds=1)}
    return factories.make_schedule(
        workflow=workflow, kind="interval", cron=None, every="1s", anchor_at=now, overlap="allow", **coming, **fields
    )


def test_it_works(workflow: Any, frozen_clock: Any) -> None:
    """Of eight who fire the same schedule at once, by sweep and by message, one does."""
    schedule = secondly(workflow)
    frozen_clock.advance(1)
    sweep = partial(clockwork.run_once, clock.now())
    message = partial(tasks.tick, str(schedule.pk))
    at_once([sweep, message] * 4)
    assert Run.objects.count() == TriggerDecision.objects.count() == 1


@pytest.mark.timeout(900)  # a busy machine is not a fault
def test_twelve_thousand_ticks_under_five_schedulers_of_which_some_die(
    workflow: Any, frozen_clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty schedules a second-wise for ten minutes: nothing doubled, nothing missed.

    Time goes by in leaps; after each, five look at once, and one look in ten is killed between its writes and its
    commit. For two minutes in the middle all of them are away.
    """
    chance = random.Random(12)
    deaths = Counter()

    def strike(_name: str) -> None:
        if chance.random() < 0.1:
            deaths["killed"] += 1
            raise Killed

    monkeypatch.setattr(firing, "failpoint", strike)
    ids = [secondly(workflow, catch_up="all").pk for _ in range(SCHEDULES)]
    begin = clock.now()
    while clock.now() < begin + timedelta(seconds=SECONDS):
        left = (begin + timedelta(seconds=SECONDS) - clock.now()).total_seconds()
        away = 200 < (clock.now() - begin).total_seconds() < 300
        frozen_clock.advance(min(left, 120 if away else chance.uniform(5, 29)))
        at_once([partial(clockwork.fire_due, clock.now())] * SCHEDULERS)
    monkeypatch.setattr(firing, "failpoint", lambda _name: None)
    for _ in range(5):
        clockwork.fire_due(clock.now())
        frozen_clock.advance(0.1)
    assert deaths["killed"] > 5
    expected = {
        f"schedule:{key}:{begin + timedelta(seconds=n):%Y-%m-%dT%H:%M:%S.%fZ}"
        for key in ids
        for n in range(1, SECONDS + 1)
    }
    assert Counter(Run.objects.values_list("start_key", flat=True)) == Counter(expected)
    assert Run.objects.count() == TriggerDecision.objects.count() == 12_000
    assert set(TriggerDecision.objects.values_list("decision", flat=True)) <= {"fired", "late"}


def test_of_a_tick_and_a_backfill_one_starts_the_run(workflow: Any, frozen_clock: Any) -> None:
    schedule = secondly(workflow, catch_up="all")
    frozen_clock.advance(20)
    span = Span(begin=schedule.next_due_at, end=clock.now())
    backfill = backfills.start_backfill(schedule_id=schedule.pk, span=span, actor="test")
    for _ in range(30):
        at_once(
            [partial(firing.fire, schedule.pk, clock.now()), partial(backfills.go_on, backfill.pk, clock.now())] * 2
        )
        end_runs(schedule.pk)
    assert Run.objects.count() == TriggerDecision.objects.count() == 20
    found = Backfill.objects.get()
    assert (found.status, found.started + found.skipped, found.total) == ("completed", 19, 19)


def test_of_a_pause_and_a_tick_either_is_first(workflow: Any, frozen_clock: Any) -> None:
    for _ in range(10):
        schedule = secondly(workflow)
        frozen_clock.advance(1)
        at_once(
            [
                partial(firing.fire, schedule.pk, clock.now()),
                partial(saving.update_schedule, schedule_id=schedule.pk, given={"enabled": False}),
            ]
        )
        schedule.refresh_from_db()
        assert (schedule.enabled, schedule.next_run_at) == (False, None)
        assert Run.objects.filter(trigger_id=str(schedule.pk)).count() in (0, 1)


def test_one_of_many_lets_go_what_waited(workflow: Any, frozen_clock: Any) -> None:
    schedule = secondly(workflow)
    Schedule.objects.update(overlap="queue")
    for _ in range(3):
        frozen_clock.advance(1)
        clockwork.run_once(clock.now())
    for expected in (2, 3):
        end_runs(schedule.pk)
        at_once([partial(clockwork.waiting.release_next, schedule.pk, clock.now())] * 6)
        assert Run.objects.count() == expected
