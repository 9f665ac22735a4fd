"""What a process tells of itself, and what it sees of the others."""

import logging
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import DatabaseError

from flowforge.core import clock
from flowforge.engine import driver, pools
from flowforge.engine.fleet import UNSERVED_AFTER, Watch
from flowforge.engine.presence import PROCESS_NAME, Presence
from flowforge.workers import services
from flowforge.workers.constants import BEAT_SECONDS
from flowforge.workers.models import Worker
from flowforge.workers.selectors import queues_served
from runs.models import StepRun
from runs.readiness import ready_queues
from runs.services import pause_run
from tests import factories
from tests.engine.conftest import Flow, effect, fresh
from tests.support.clock import FrozenClock

pytestmark = pytest.mark.django_db
MakeFlow = Callable[..., Flow]


@pytest.fixture
def presence() -> Presence:
    found = Presence()
    found.open({"control": 2, "gpu": 1}, isolation="limits")
    return found


def row() -> Worker:
    return Worker.objects.get(name=PROCESS_NAME)


def test_it_works(presence: Presence) -> None:
    assert row().queues == ["control", "gpu"]
    presence.took("gpu", 1)
    with presence.answering("gpu"):
        presence.heard("gpu")
        presence.beat(time.monotonic(), [time.monotonic() - 60])
    presence.step_ended()
    told = row()
    assert (told.hints_count, told.running_count, told.pools["gpu"]["busy"]) == (1, 1, 1)
    assert told.oldest_step_at is not None
    assert abs(told.heartbeat_at - told.oldest_step_at - timedelta(seconds=60)) < timedelta(seconds=1)
    assert told.pools["gpu"]["heard_at"] is not None
    assert told.pools["control"]["hint_at"] is None
    presence.beat(time.monotonic(), ())
    told = row()
    assert (told.steps_count, told.running_count, told.oldest_step_at, told.pools["gpu"]["busy"]) == (1, 0, None, 0)


def test_it_beats_now_and_then(presence: Presence) -> None:
    now = time.monotonic()
    presence.beat(now, ())
    presence.step_ended()
    presence.beat_if_due(now + BEAT_SECONDS - 0.001, ())
    assert row().steps_count == 0
    presence.beat_if_due(now + BEAT_SECONDS, ())
    assert row().steps_count == 1


def test_it_drains_and_ends(presence: Presence) -> None:
    presence.drain(())
    assert row().draining_at is not None
    assert queues_served(clock.now()) == set()
    presence.close()
    presence.beat(time.monotonic(), ())  # the keeper's last tick
    assert row().stopped_at is not None


def test_a_database_that_is_away_keeps_no_process_from_ending(
    presence: Presence, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise DatabaseError("away")

    monkeypatch.setattr(services, "record_heartbeat", fail)
    monkeypatch.setattr(services, "record_stop", fail)
    presence.drain(())
    presence.close()
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


def test_a_process_that_is_no_worker_tells_nothing() -> None:
    nobody = Presence()
    with nobody.answering("gpu"):
        nobody.beat_if_due(time.monotonic(), ())
    nobody.close()
    assert not Worker.objects.exists()


# --- the others ---------------------------------------------------------------------------------------------------


def on_gpu(node_id: str) -> dict[str, object]:
    return {**effect(node_id), "queue": "gpu"}


def test_it_warns_once_of_a_queue_that_nobody_serves(
    flow: MakeFlow, frozen_clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "flowforge.worker")
    driver.drive(flow(nodes=[on_gpu("render")]).start().pk)
    watch = Watch()
    assert watch.run_once(clock.now()) == set()  # it may be about to come
    frozen_clock.advance(UNSERVED_AFTER.total_seconds())
    assert watch.run_once(clock.now()) == {"gpu"}
    assert watch.run_once(clock.now()) == {"gpu"}
    factories.make_worker(pools={"gpu": {"slots": 3, "busy": 0, "heard_at": None, "hint_at": None}})
    assert watch.run_once(clock.now()) == set()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "gpu" in caplog.records[0].getMessage()
    assert pools.width("gpu") == 3
    pools.learn({})
    assert pools.width("gpu") == 1


def test_it_sees_which_queues_have_work(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    run = flow(nodes=[on_gpu("a"), effect("b")]).start()
    driver.drive(run.pk)
    began = clock.now()
    frozen_clock.advance(20)
    ready = ready_queues(clock.now())
    assert {queue: found.since for queue, found in ready.items()} == {"gpu": began, "default": began}
    assert ready["gpu"].unhindered_since == began
    StepRun.objects.filter(run=run, node_id="b").update(status="running")
    ready = ready_queues(clock.now())
    assert list(ready) == ["gpu"]
    assert ready["gpu"].unhindered_since is None  # what runs may be what it waits for
    pause_run(run_id=fresh(run).pk)
    assert ready_queues(clock.now()) == {}
