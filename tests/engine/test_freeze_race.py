"""A freeze and those who drive and work at that moment, each with a connection of its own, on every database.

The witness: no beginning is committed after `freeze` has returned, and after the thaw all end, each step done once.
"""

import threading
from collections.abc import Callable

import pytest
from django.db import connection

from flowforge.core import clock
from flowforge.engine import timers
from flowforge.operating.services import freeze, thaw
from runs.models import Run, RunEvent
from tests.engine.conftest import Flow, chain, effect
from tests.support import invariants
from tests.support.step_types import Effect

pytestmark = pytest.mark.django_db(transaction=True)
MakeFlow = Callable[..., Flow]
DRIVERS = 6
ROUNDS = 3
RUNS = 8  # a round


class Drivers:
    """Threads that answer hints as they come, until they are told to stop."""

    def __init__(self, made: Flow) -> None:
        self._made = made
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._go) for _ in range(DRIVERS)]

    def __enter__(self) -> "Drivers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def _go(self) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    ring = self._made.bell.rings.pop(0)
                except IndexError:
                    self._stopping.wait(0.001)
                    continue
                self._made.answer(ring)
        finally:
            connection.close()


def beginnings() -> int:
    return RunEvent.objects.filter(event__in=["run.started", "step.started"]).count()


@pytest.mark.parametrize("scope", ["project", "workflow"])
def test_it_works(flow: MakeFlow, scope: str) -> None:
    parallel = [effect(f"p{place}") for place in range(4)]
    steps = chain(effect("a"), effect("b"), effect("c"))
    edges = [*steps["edges"], *({"source": "c", "target": node["id"]} for node in parallel)]
    made = flow(nodes=[*steps["nodes"], *parallel], edges=edges)
    scope_id = made.workflow.project_id if scope == "project" else made.workflow.pk
    under_way = threading.Event()
    Effect.before = lambda _: under_way.set()
    with Drivers(made):
        for _ in range(ROUNDS):
            runs = [made.start() for _ in range(RUNS)]
            assert under_way.wait(30)
            freeze(scope=scope, scope_id=scope_id, reason="", by="ann")
            witness = beginnings()
            late = made.start()
            runs.append(late)
            wait_for(lambda: not made.bell.rings and not Run.objects.filter(lease_expires_at__gt=clock.now()).exists())
            assert beginnings() == witness
            assert Run.objects.get(pk=late.pk).status == "pending"
            thaw(scope_id=scope_id, rate="500/s")
            wait_for(lambda: bool(timers.run_once(clock.now())) and not live())
            under_way.clear()
    assert set(Run.objects.values_list("status", flat=True)) == {"completed"}
    assert set(Effect.seen.values()) == {1}
    assert len(Effect.seen) == ROUNDS * (RUNS + 1) * 7
    for run in Run.objects.all():
        assert invariants.violations([invariants.story_of(run)]) == []


def live() -> bool:
    return Run.objects.filter(finished_at__isnull=True).exists()


def wait_for(condition: Callable[[], bool]) -> None:
    tick = threading.Event()
    for _ in range(6000):
        if condition():
            return
        tick.wait(0.01)
    raise AssertionError("it does not come")
