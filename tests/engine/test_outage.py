"""The database goes away while a step that was done is recorded: it is recorded once it is back, and not done again."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError, connection

from flowforge.engine import convoy, driver, outages, turns, worker
from flowforge.engine.drivers import Drivers
from flowforge.engine.outages import patiently
from flowforge.engine.pools import IN_PLACE
from flowforge.engine.store import runs as run_store
from flowforge.engine.store import steps as step_store
from flowforge.steps.base import Context
from runs.models import Run
from tests.engine.conftest import Flow, effect, events, fresh, step
from tests.support.invariants import story_of, violations
from tests.support.step_types import Effect

MakeFlow = Callable[..., Flow]
TIMES = 3  # more losses in a row than a step may have
ONCE = ["step.started", "step.completed"]


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited between tries: not at all."""
    found: list[float] = []
    monkeypatch.setattr(outages, "pause", found.append)
    return found


def away(*_: object, **__: object) -> None:
    raise OperationalError("database is locked")


class Trouble:
    """Fails `TIMES` calls once an effect was done; `after`: having done what was asked, so that the answer is lost."""

    def __init__(self, real: Callable[..., Any], *, after: bool) -> None:
        self.real, self.after, self.left = real, after, TIMES

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not Effect.seen or self.left == 0:
            return self.real(*args, **kwargs)
        if self.after and self.left == TIMES:
            self.real(*args, **kwargs)
        self.left -= 1
        raise OperationalError("the connection was lost")


@pytest.mark.django_db
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("queue", [IN_PLACE, "gpu"])  # a driver does the one, a worker the other
def test_it_works(
    flow: MakeFlow, monkeypatch: pytest.MonkeyPatch, pauses: list[float], queue: str, after: bool
) -> None:
    commit = Trouble(run_store.commit, after=after)
    settle = Trouble(step_store.settle_steps, after=after)
    monkeypatch.setattr(*(run_store, "commit", commit) if queue == IN_PLACE else (step_store, "settle_steps", settle))
    made = flow(nodes=[{**effect("a", value=1), "queue": queue}])
    run = made.start()
    made.drain()
    driver.drive(run.pk)  # the sweep, should the answer of a worker's settlement be lost
    assert fresh(run).status == "completed"
    assert Effect.seen == {(str(run.pk), "a"): 1}
    assert events(run, "a") == ONCE
    assert pauses == [0.05, 0.1, 0.2]
    assert violations([story_of(fresh(run))]) == []


@pytest.mark.django_db(transaction=True)
def test_what_the_run_has_become_is_told_once(flow: MakeFlow, monkeypatch: pytest.MonkeyPatch) -> None:
    """The round that ends a step puts the run to sleep; its answer is lost, and asked again it finds the step moved."""
    real, lost = run_store.committed, []

    def committed(*args: Any) -> Any:
        if Effect.seen and not lost:
            lost.append(True)
            raise OperationalError("the connection was lost")
        return real(*args)

    monkeypatch.setattr(run_store, "committed", committed)
    wait = {"id": "w", "type": "wait_event", "config": {"event": "go"}}
    made = flow(nodes=[effect("a"), wait], edges=[{"source": "a", "target": "w"}])
    run = made.start()
    made.drain()
    assert lost
    assert fresh(run).status == "waiting"
    assert [each for each in events(run) if each.startswith("run.")] == ["run.created", "run.started", "run.waiting"]


@pytest.mark.django_db
def test_runs_that_are_driven_together(flow: MakeFlow, monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> None:
    trouble = Trouble(convoy.commit_together, after=False)
    monkeypatch.setattr(
        convoy,
        "commit_together",
        lambda asked: [OperationalError("away")] * len(asked) if Effect.seen else trouble.real(asked),
    )
    monkeypatch.setattr(run_store, "commit", Trouble(run_store.commit, after=False))
    calls: list[Callable[[], None]] = []
    drivers = Drivers()
    drivers.start(lambda call: calls.append(call) is None, most=1, room=10)
    runs = [flow(nodes=[effect("a")]).start() for _ in range(2)]
    for run in runs:
        assert drivers.hint(run.pk)
    while calls:
        calls.pop(0)()
    assert len(pauses) == TIMES
    assert {fresh(run).status for run in runs} == {"completed"}
    assert [events(run, "a") for run in runs] == [ONCE, ONCE]


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="ends a session of PostgreSQL")
@pytest.mark.parametrize("queue", [IN_PLACE, "gpu"])
def test_a_session_that_was_ended(flow: MakeFlow, queue: str) -> None:
    def end_session(_: Context) -> None:
        with pytest.raises(OperationalError), connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    Effect.before = end_session
    made = flow(nodes=[{**effect("a"), "queue": queue}])
    run = made.start()
    made.drain()
    assert fresh(run).status == "completed"
    assert events(run, "a") == ONCE
    assert step(run, "a").lost_count == 0


@pytest.mark.django_db
def test_what_the_keeper_could_not_record_is_recorded_by_the_thread(
    flow: MakeFlow, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = flow(nodes=[{**effect(name), "queue": "gpu"} for name in "abc"])
    run = made.start()
    driver.drive(run.pk)
    batches: list[worker.Batch] = []
    real = worker.Batch.go

    def go(self: worker.Batch) -> None:
        batches.append(self)
        real(self)

    def relieve(_: Context) -> None:
        if len(Effect.seen) == 3:  # batches of one, then of two
            with monkeypatch.context() as patched:
                patched.setattr(step_store, "settle_steps", away)
                with pytest.raises(OperationalError):
                    batches[-1].relieve()

    monkeypatch.setattr(worker, "COMMIT_WINDOW_SECONDS", 60)
    monkeypatch.setattr(worker.Batch, "go", go)
    Effect.before = relieve
    made.drain()
    assert fresh(run).status == "completed"
    assert [events(run, name) for name in "abc"] == [ONCE, ONCE, ONCE]


@pytest.mark.django_db
def test_it_gives_up_with_the_lease(pauses: list[float]) -> None:
    with pytest.raises(OperationalError):
        patiently(away, until=time.monotonic())
    assert pauses == []


@pytest.mark.django_db
def test_a_defect_is_not_asked_again(pauses: list[float]) -> None:
    def defect() -> None:
        raise OperationalError("no such table: runs_run")

    with pytest.raises(OperationalError):
        patiently(defect, until=time.monotonic() + settings.LEASE_SECONDS)
    assert pauses == []


@pytest.mark.django_db
def test_a_round_that_cannot_be_told_apart_is_not_asked_again(
    flow: MakeFlow, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    """Nobody knows whether it was made: its events would be there twice."""
    made = flow(nodes=[{"id": "a", "type": "transform", "config": {"values": {"n": "{{ 1 }}"}}}])
    run = made.start()
    monkeypatch.setattr(run_store, "commit", away)
    driver.drive(run.pk)
    assert pauses == []
    assert Run.objects.get(pk=run.pk).status == "pending"
    assert turns.commit is convoy.commit
