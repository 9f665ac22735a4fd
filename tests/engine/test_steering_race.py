"""Callers and drivers at the same moment, each with a connection of its own, on every database."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from flowforge.core.errors import Conflict
from flowforge.engine import driver
from runs.models import FailureGroup, Run, RunEvent
from runs.services.bulk import steer_runs
from runs.services.intents import cancel_run
from runs.services.retrying import retry_run
from tests.engine.conftest import Flow, chain, effect, events, fresh
from tests.support import invariants
from tests.support.step_types import Effect

pytestmark = pytest.mark.django_db(transaction=True)
MakeFlow = Callable[..., Flow]


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each of these calls gave or raised, which begin together."""
    barrier = threading.Barrier(len(calls))

    def one(call: Callable[[], Any]) -> Any:
        try:
            connection.ensure_connection()
            barrier.wait(30)
            return call()
        except Conflict as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(one, calls))


def retrying(run: Run) -> Callable[[], None]:
    return lambda: retry_run(run_id=run.pk, caller_actor="test")


def test_it_works(flow: MakeFlow) -> None:
    """Of those who retry a run, one does."""
    made = flow(chain(effect("a"), effect("b", fail_times=1), effect("c")))
    run = made.run()
    answers = at_once([retrying(run)] * 8)
    made.drain()
    assert sum(answer is None for answer in answers) == 1
    assert sum(isinstance(answer, Conflict) for answer in answers) == 7
    assert (fresh(run).status, fresh(run).attempt) == ("completed", 2)
    assert events(run).count("run.retried") == 1
    assert Effect.order == ["a", "b", "b", "c"]
    assert invariants.violations([invariants.story_of(fresh(run))]) == []


def test_a_cancellation_finds_the_run_before_its_retry_or_after(flow: MakeFlow) -> None:
    made = flow(chain(effect("a"), effect("b", fail_times=1)))
    for _ in range(5):
        run = made.run()
        retried, cancelled = at_once([retrying(run), lambda run=run: cancel_run(run_id=run.pk)])
        made.drain()
        assert retried is None
        # refused: it had ended; accepted: it had begun again, and it ends so
        assert fresh(run).status == ("completed" if isinstance(cancelled, Conflict) else "cancelled")
        assert invariants.violations([invariants.story_of(fresh(run))]) == []


def test_drivers_of_a_run_that_is_retried_meanwhile_do_each_step_once(flow: MakeFlow) -> None:
    made = flow(chain(effect("a"), effect("b", fail_times=1), effect("c")))
    run = made.run()

    def drive() -> None:
        for _ in range(5):
            driver.drive(run.pk)

    at_once([retrying(run), drive, drive, drive])
    made.drain()
    assert fresh(run).status == "completed"
    assert Effect.order == ["a", "b", "b", "c"]
    assert invariants.violations([invariants.story_of(fresh(run))]) == []


def test_failures_of_many_runs_at_once_are_all_counted(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("bad", fail_times=1)])
    runs = [made.start() for _ in range(12)]
    at_once([lambda run=run: driver.drive(run.pk) for run in runs])
    made.drain()
    group = FailureGroup.objects.get()
    assert group.count == 12
    assert set(Run.objects.values_list("failure_id", flat=True)) == {group.pk}


def test_bulks_of_the_same_runs_share_them(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("bad", fail_times=1)])
    runs = [made.run() for _ in range(20)]
    every = Run.objects.all()
    answers = at_once([lambda: steer_runs(action="retry", runs=every.all(), caller_actor="test", batch=7)] * 3)
    made.drain()
    assert sum(answer.done for answer in answers) == len(runs)
    assert RunEvent.objects.filter(event="run.retried").count() == len(runs)
    assert set(Run.objects.values_list("status", "attempt")) == {("completed", 2)}
