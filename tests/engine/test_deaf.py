"""Steps that do not hear that they have to stop: the keeper ends the attempt, and the thread's late result is void.

The step itself lets the keeper tick, at moments of the test's choice: nobody waits for anything.
"""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError

from flowforge.engine import abandoning, driver, pools, turns, worker
from flowforge.engine import keeper as keepers
from flowforge.engine.keeper import DEAF_SECONDS, MAX_ABANDONED, Keeper
from flowforge.engine.presence import PROCESS_NAME, presence
from flowforge.steps.base import Context, StepCancelled
from flowforge.workers.models import Worker
from runs.models import Run
from runs.services import cancel_run
from tests.engine.conftest import Flow, effect, events, fresh, step
from tests.support.invariants import story_of, violations
from tests.support.step_types import Effect

pytestmark = pytest.mark.django_db
MakeFlow = Callable[..., Flow]
TIMEOUT = 1
QUEUES = pytest.mark.parametrize("queue", [pools.IN_PLACE, "gpu"])  # a driver does the one, a worker the other


@pytest.fixture
def keeper(monkeypatch: pytest.MonkeyPatch) -> Keeper:
    """One without a thread."""
    made = Keeper()
    made._next_sync = float("inf")
    for module in (driver, turns, worker):
        monkeypatch.setattr(module, "keeper", made)
    return made


@pytest.fixture(autouse=True)
def _slots() -> Iterator[None]:
    yield
    pools.open_slots({})
    pools.grow_by(None)


def node(queue: str, attempts: int = 1) -> dict[str, Any]:
    retry = {"max_attempts": attempts, "initial_delay": 0, "jitter": 0}
    return {**effect("a", value="done"), "queue": queue, "timeout": TIMEOUT, "retry": retry}


def deaf(keeper: Keeper, then: Callable[[Context], None]) -> Callable[[Context], None]:
    """The first attempt stays until it was abandoned, and for `then`; the others do not."""
    calls: list[Context] = []

    def stay(context: Context) -> None:
        calls.append(context)
        if len(calls) > 1:
            return
        out_of_time = time.monotonic() + TIMEOUT
        keeper.run_once(out_of_time)
        keeper.run_once(out_of_time + DEAF_SECONDS - 0.01)
        assert step(Run.objects.get(), "a").status == "running", "it may still hear"
        keeper.run_once(out_of_time + DEAF_SECONDS)
        then(context)

    return stay


@QUEUES
def test_it_works(flow: MakeFlow, keeper: Keeper, queue: str) -> None:
    made = flow(nodes=[node(queue)])

    def meanwhile(_: Context) -> None:
        assert keeper.abandoned_count == 1
        assert keeper.executions == [], "its lease is not renewed any more"
        made.drain()
        assert fresh(run).status == "failed"

    Effect.before = deaf(keeper, meanwhile)
    run = made.start()
    made.drain()
    assert step(run, "a").error["code"] == "timeout"
    assert events(run, "a") == ["step.started", "step.failed"]
    assert step(run, "a").output is None, "what came late is void"
    assert keeper.abandoned_count == 0, "the thread is back"
    assert violations([story_of(fresh(run))]) == []


@QUEUES
def test_the_next_attempt_does_not_wait_for_the_thread(flow: MakeFlow, keeper: Keeper, queue: str) -> None:
    made = flow(nodes=[node(queue, attempts=2)])

    def meanwhile(_: Context) -> None:
        driver.drive(run.pk)
        made.drain()
        assert fresh(run).status == "completed"

    Effect.before = deaf(keeper, meanwhile)
    run = made.start()
    made.drain()
    assert events(run, "a") == ["step.started", "step.retrying", "step.started", "step.completed"]
    assert violations([story_of(fresh(run))]) == []


@QUEUES
def test_a_cancellation_goes_through(flow: MakeFlow, keeper: Keeper, queue: str) -> None:
    made = flow(nodes=[node(queue)])

    def stay(_: Context) -> None:
        cancel_run(run_id=run.pk)
        told = time.monotonic() + 0.5
        keeper.run_once(told)
        keeper.run_once(told + DEAF_SECONDS)
        made.drain()
        assert fresh(run).status == "cancelled"

    Effect.before = stay
    run = made.start()
    made.drain()
    assert events(run, "a") == ["step.started", "step.cancelled"]
    assert violations([story_of(fresh(run))]) == []


def test_what_hears_is_not_abandoned(flow: MakeFlow, keeper: Keeper) -> None:
    def hear(_: Context) -> None:
        keeper.run_once(time.monotonic() + TIMEOUT)
        raise StepCancelled

    Effect.before = hear
    run = flow(nodes=[node("gpu")]).run()
    assert step(run, "a").error["code"] == "timeout"
    keeper.run_once(time.monotonic() + 2 * DEAF_SECONDS)
    assert events(run, "a") == ["step.started", "step.failed"]


@QUEUES
def test_it_is_recorded_once_the_database_is_back(
    flow: MakeFlow, keeper: Keeper, monkeypatch: pytest.MonkeyPatch, queue: str
) -> None:
    made = flow(nodes=[node(queue)])

    def stay(_: Context) -> None:
        out_of_time = time.monotonic() + TIMEOUT
        keeper.run_once(out_of_time)
        with monkeypatch.context() as patched:
            patched.setattr(abandoning.step_store, "settle_steps", away)
            with pytest.raises(OperationalError):
                keeper.run_once(out_of_time + DEAF_SECONDS)
        assert len(keeper.executions) == 1, "its lease is renewed until then"
        keeper.run_once(out_of_time + DEAF_SECONDS + 0.1)

    def away(*_: object, **__: object) -> None:
        raise OperationalError("the server closed the connection")

    Effect.before = stay
    run = made.start()
    made.drain()
    assert events(run, "a") == ["step.started", "step.failed"]
    assert violations([story_of(fresh(run))]) == []


def test_its_thread_is_replaced(flow: MakeFlow, keeper: Keeper) -> None:
    pools.open_slots({"gpu": 1})
    grown: list[str] = []
    pools.grow_by(grown.append)
    presence.open({"gpu": 1}, isolation="limits")

    def meanwhile(_: Context) -> None:
        assert grown == ["gpu"]
        assert not pools.is_full("gpu")
        presence.beat(time.monotonic(), ())
        assert Worker.objects.get(name=PROCESS_NAME).abandoned_count == 1

    Effect.before = deaf(keeper, meanwhile)
    run = flow(nodes=[node("gpu")]).start()
    driver.drive(run.pk)
    try:
        with pools.slot("gpu"):
            worker.work(run.pk, "gpu")
        presence.beat(time.monotonic(), ())
        assert Worker.objects.get(name=PROCESS_NAME).abandoned_count == 0
    finally:
        presence.close()
    assert grown == ["gpu"]


def test_too_many_are_not_replaced(
    flow: MakeFlow, keeper: Keeper, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert MAX_ABANDONED > 0
    monkeypatch.setattr(keepers, "MAX_ABANDONED", 0)
    caplog.set_level(logging.WARNING, "flowforge.engine")
    pools.open_slots({"gpu": 1})
    grown: list[str] = []
    pools.grow_by(grown.append)
    Effect.before = deaf(keeper, lambda _: None)
    run = flow(nodes=[node("gpu")]).start()
    driver.drive(run.pk)
    with pools.slot("gpu"):
        worker.work(run.pk, "gpu")
    assert grown == []
    assert [record.levelname for record in caplog.records][:2] == ["WARNING", "ERROR"]
