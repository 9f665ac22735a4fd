"""Limits under many drivers at once, each with a connection of its own, counted by an outside witness."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet

from flowforge.core import clock
from flowforge.core.errors import Conflict
from flowforge.engine import driver, timers
from flowforge.projects.models import Project
from runs.models import Run
from runs.services import Origin, Started, StartItem, start_run, start_runs
from tests.engine.conftest import Flow, chain, effect, fresh
from tests.support import invariants
from tests.support.step_types import Effect

pytestmark = pytest.mark.django_db(transaction=True)
MakeFlow = Callable[..., Flow]
DRIVERS = 8


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each of these calls gave or raised, which begin together."""
    barrier = threading.Barrier(len(calls))

    def one(call: Callable[[], Any]) -> Any:
        try:
            connection.ensure_connection()
            barrier.wait(60)
            return call()
        except Conflict as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(one, calls))


@contextmanager
def witness(occupants: QuerySet[Run]) -> Iterator[list[int]]:
    """Counts them again and again, from a connection of its own; gives what it has counted."""
    counted: list[int] = []
    done = threading.Event()

    def look() -> None:
        try:
            while not done.is_set():
                counted.append(occupants.count())
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        seen = pool.submit(look)
        try:
            yield counted
        finally:
            done.set()
            seen.result(60)


def drive_all(made: Flow) -> None:
    """Answer hints, and sweep where there are none, until every run has ended."""
    while Run.objects.filter(finished_at=None).exists():
        try:
            ring = made.bell.rings.pop()
        except IndexError:
            timers.run_once(clock.now())
        else:
            made.answer(ring)


def race(made: Flow) -> None:
    at_once([lambda: drive_all(made)] * DRIVERS)


def test_it_works_for_a_concurrency_key(flow: MakeFlow) -> None:
    made = flow(chain(effect("a"), effect("b")), config={"concurrency": {"key": "{{ inputs.k }}", "limit": 2}})
    items = [StartItem(inputs={"k": n % 2}, priority=n % 3) for n in range(24)]
    start_runs(workflow=made.workflow, items=items, origin=Origin(actor="test"))
    occupants = Run.objects.filter(concurrency_key="0", started_at__isnull=False, finished_at=None)
    with witness(occupants) as counted:
        race(made)
    assert 1 <= max(counted) <= 2
    assert sorted(Effect.order) == ["a"] * 24 + ["b"] * 24
    assert invariants.violations([invariants.story_of(run) for run in Run.objects.all()]) == []


def test_a_project_never_runs_more_than_it_may(flow: MakeFlow, project: Project) -> None:
    """Runs begin, wait, go on and end: those that run are never too many, and all come to their end."""
    project.settings = {"max_concurrent_runs": 2}
    project.save(update_fields=["settings"])
    pause = {"id": "pause", "type": "delay", "config": {"duration": "10ms"}}
    made = flow(chain(effect("a"), pause, effect("b")))
    parallel = flow(nodes=[effect("x"), effect("y")])
    for _ in range(8):
        made.start()
        parallel.start()
    with witness(Run.objects.filter(status="running")) as counted:
        race(made)
    assert 1 <= max(counted) <= 2
    assert set(Run.objects.values_list("status", flat=True)) == {"completed"}
    assert invariants.violations([invariants.story_of(run) for run in Run.objects.all()]) == []


def test_no_more_begin_than_the_pace_allows(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("a")], config={"rate_limit": {"limit": "5/d"}})
    runs = [made.start() for _ in range(20)]
    at_once([lambda: [driver.drive(run.pk) for run in runs]] * DRIVERS)
    assert Run.objects.filter(started_at__isnull=False).count() == 5
    assert Run.objects.exclude(wake_at=None).filter(started_at=None).count() == 1  # the next one has its moment


def test_of_those_who_want_the_last_place_one_is_accepted(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("a")], config={"concurrency": {"on_conflict": "reject"}})

    def start() -> Run:
        return start_run(workflow=made.workflow, inputs={}, caller_actor="test").run

    answers = at_once([start] * DRIVERS)
    accepted = [answer for answer in answers if isinstance(answer, Run)]
    assert len(accepted) == Run.objects.count() == 1
    refused = [answer for answer in answers if isinstance(answer, Conflict)]
    assert {answer.extra["holder"]["id"] for answer in refused} == {str(accepted[0].pk)}


@pytest.mark.parametrize("attempt", range(5))
def test_a_call_that_comes_as_the_run_begins_is_not_lost(flow: MakeFlow, attempt: int) -> None:
    """Each call is answered with a run whose inputs are that call's, or those of a later one with the same answer."""
    node = {"id": "n", "type": "transform", "config": {"values": {"n": "{{ inputs.n }}"}}}
    made = flow(nodes=[node], config={"debounce": {"delay": 0}})
    answered: dict[int, Started] = {}
    first = start_run(workflow=made.workflow, inputs={"n": -1}, caller_actor="test").run

    def ask(n: int) -> Callable[[], None]:
        def call() -> None:
            answered[n] = start_run(workflow=made.workflow, inputs={"n": n}, caller_actor="test")

        return call

    drive = [lambda: driver.drive(first.pk)] * 2
    at_once([ask(n) for n in range(4)] + drive + [ask(n) for n in range(4, 6)])
    drive_all(made)
    for n, started in answered.items():
        run = fresh(started.run)
        with_it = {m for m, other in answered.items() if other.run == run}
        assert run.status == "completed"
        assert run.inputs["n"] in with_it, n
        assert run.outputs["n"]["n"] == run.inputs["n"]  # what began is what was asked for last
