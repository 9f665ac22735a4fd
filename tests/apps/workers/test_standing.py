"""What is said of a worker from its row, and which queues are served."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test.utils import CaptureQueriesContext

from flowforge.core import clock
from flowforge.workers import selectors, services
from flowforge.workers.constants import ALIVE_FOR, KEPT_FOR, SILENT_AFTER
from flowforge.workers.models import Worker
from flowforge.workers.selectors import Standing, queues_served, silent_pools, standing
from flowforge.workers.services import Identity, PoolProgress, Progress
from tests import factories
from tests.support.clock import FrozenClock

pytestmark = pytest.mark.django_db
INSTANT = timedelta(microseconds=1)


def pool(**fields: Any) -> dict[str, Any]:
    now = clock.now()
    return PoolProgress(**{"slots": 2, "busy": 0, "heard_at": now, "hint_at": now, **fields}).stored()


def said(worker: Worker, now: datetime, **ready_since: datetime) -> Standing:
    return standing(Worker.objects.get(pk=worker.pk), now, ready_since)


def test_it_works(frozen_clock: FrozenClock) -> None:
    now = clock.now()
    worker = factories.make_worker(pools={"gpu": pool(), "default": pool(slots=16)})
    assert said(worker, now) == "working"
    assert queues_served(now) == {"gpu", "default"}
    assert selectors.slots_by_queue(selectors.live_workers(now)) == {"gpu": 2, "default": 16}


def test_silence_is_death(frozen_clock: FrozenClock) -> None:
    worker = factories.make_worker(pools={"gpu": pool()})
    last = clock.now() + ALIVE_FOR
    assert said(worker, last - INSTANT) == "working"
    assert queues_served(last - INSTANT) == {"gpu"}
    assert said(worker, last) == "lost"
    assert queues_served(last) == set()


def test_a_draining_worker_serves_nothing(frozen_clock: FrozenClock) -> None:
    now = clock.now()
    worker = factories.make_worker(pools={"gpu": pool()}, draining_at=now)
    assert said(worker, now) == "draining"
    assert queues_served(now) == set()
    services.record_stop(worker.name, now=now)
    assert said(worker, now) == "stopped"


@pytest.mark.parametrize(
    ("progress", "ready_for", "expected"),
    [
        ({}, SILENT_AFTER, "working"),  # it took a hint a moment ago
        ({"hint_at": None}, SILENT_AFTER, "stuck"),  # none since its start
        ({"hint_at": None}, SILENT_AFTER - INSTANT, "working"),  # but the work is young
        ({"hint_at": None}, None, "working"),  # and there is none
        ({"hint_at": None, "busy": 1}, SILENT_AFTER, "stuck"),
        ({"hint_at": None, "busy": 2}, SILENT_AFTER, "working"),  # no slot is free: long steps
        ({"heard_at": None}, None, "stuck"),  # it does not even listen
    ],
)
def test_it_tells_the_stuck_from_the_busy_and_the_idle(
    frozen_clock: FrozenClock, progress: dict[str, Any], ready_for: timedelta | None, expected: str
) -> None:
    frozen_clock.advance(SILENT_AFTER.total_seconds())
    now = clock.now()
    worker = factories.make_worker(started_at=now - SILENT_AFTER, pools={"gpu": pool(**progress)})
    ready = {} if ready_for is None else {"gpu": now - ready_for}
    assert said(worker, now, **ready) == expected
    assert silent_pools(worker, now, ready) == (["gpu"] if expected == "stuck" else [])


def test_another_queues_work_is_not_its_fault(frozen_clock: FrozenClock) -> None:
    frozen_clock.advance(60)
    now = clock.now()
    worker = factories.make_worker(started_at=now - SILENT_AFTER, pools={"gpu": pool(hint_at=None)})
    assert said(worker, now, default=now - SILENT_AFTER) == "working"


def test_looking_costs_one_query(query_counter: Callable[[], CaptureQueriesContext]) -> None:
    for _ in range(5):
        factories.make_worker(pools={"gpu": pool()})
    with query_counter() as queries:
        queues_served(clock.now())
    assert len(queries) == 1


# --- what processes write -----------------------------------------------------------------------------------------


def identity(name: str = "host:1:abc") -> Identity:
    return Identity(name=name, host="host", pid=1, version="1", isolation="limits", started_at=clock.now())


def progress(**fields: Any) -> Progress:
    counts = dict.fromkeys(("hints_count", "steps_count", "running_count", "abandoned_count"), 0)
    nothing = {**counts, "oldest_step_at": None, "swept_at": None}
    pools = {"gpu": PoolProgress(slots=1, busy=0, heard_at=clock.now(), hint_at=None)}
    return Progress(**{"pools": pools, **nothing, **fields})


def test_a_heartbeat_costs_one_statement(query_counter: Callable[[], CaptureQueriesContext]) -> None:
    services.record_heartbeat(identity(), progress(), now=clock.now())
    with query_counter() as queries:
        services.record_heartbeat(identity(), progress(steps_count=7), now=clock.now())
    assert len(queries) == 1
    assert Worker.objects.get().steps_count == 7


def test_a_row_that_was_cleaned_away_comes_back() -> None:
    services.record_heartbeat(identity(), progress(), now=clock.now())
    Worker.objects.all().delete()
    services.record_heartbeat(identity(), progress(), now=clock.now())
    assert Worker.objects.get().queues == ["gpu"]


def test_a_clock_that_is_set_back_hinders_no_heartbeat(frozen_clock: FrozenClock) -> None:
    me = identity()
    services.record_heartbeat(me, progress(), now=clock.now())
    frozen_clock.advance(-3)
    services.record_heartbeat(me, progress(), now=clock.now())
    assert Worker.objects.get().heartbeat_at == me.started_at


def test_it_stops_once() -> None:
    services.record_heartbeat(identity(), progress(running_count=3, oldest_step_at=clock.now()), now=clock.now())
    assert services.record_stop("host:1:abc", now=clock.now())
    assert not services.record_stop("host:1:abc", now=clock.now())
    assert not services.record_stop("nobody", now=clock.now())
    stopped = Worker.objects.get()
    assert (stopped.running_count, stopped.oldest_step_at) == (0, None)


def test_whoever_is_alone_knows_the_others_dead() -> None:
    for name in ("a", "b"):
        services.record_heartbeat(identity(name), progress(), now=clock.now())
    services.record_stop("a", now=clock.now())
    assert services.record_all_dead(now=clock.now()) == 1
    assert queues_served(clock.now()) == set()


def test_the_dead_are_cleaned_away(frozen_clock: FrozenClock) -> None:
    worker = factories.make_worker()
    frozen_clock.advance(KEPT_FOR.total_seconds() - 1)
    young = factories.make_worker()
    assert services.purge(now=clock.now(), limit=10) == 0
    frozen_clock.advance(1)
    assert services.purge(now=clock.now(), limit=10) == 1
    assert list(Worker.objects.all()) == [young] != [worker]
