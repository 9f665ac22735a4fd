"""What is explained is what is done: of any program in any state, under freezes, pauses and limits.

Where the explanation names steps that begin, driving the run begins one of them first and then all of them; where it
names none, nothing begins; and no step begins first that a cause is said to keep.
"""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.models import Q
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowforge.core import bell as core_bell
from flowforge.core import clock
from flowforge.core.errors import FlowForgeError
from flowforge.engine import driver, timers, worker
from flowforge.engine.explain import explain
from flowforge.operating import selectors as operating
from flowforge.operating.constants import ENGINE_ID
from flowforge.operating.services import freeze, pause_engine, resume_engine, thaw
from flowforge.projects.models import Project
from runs.models import Run, RunEvent, StepRun
from runs.services import cancel_run, pause_run, resume_run, run_now
from runs.services.outside import resolve_step
from tests import factories
from tests.engine.conftest import Flow
from tests.support.clock import START, FrozenClock
from tests.support.step_types import Effect

pytestmark = pytest.mark.django_db
POOL = {"slots": 4, "busy": 0, "heard_at": None, "hint_at": None}
LATER = timedelta(seconds=30)
SERVED = ("default", "other")
RETRY = {"max_attempts": 3, "initial_delay": "20s", "jitter": 0}
KINDS: tuple[Mapping[str, Any], ...] = (
    {"type": "effect"},
    {"type": "effect", "queue": "other"},
    {"type": "effect", "queue": "nobody"},
    {"type": "effect", "config": {"fail_times": 1}, "retry": RETRY},
    {"type": "transform", "config": {"values": {"a": 1}}},
    {"type": "delay", "config": {"duration": "30s"}},
    {"type": "approval", "config": {"title": "?", "timeout": "45s", "on_timeout": "approve"}},
    {"type": "wait_event", "config": {"event": "go"}},
)
ACTIONS = (
    *("start", "start", "start later", "answer", "answer", "answer", "answer", "sweep", "sweep", "advance", "decide"),
    *("freeze project", "freeze workflow", "freeze engine", "thaw project", "thaw workflow", "thaw engine"),
    *("pause", "resume", "cancel", "run now", "pause engine", "resume engine"),
)


@dataclass(frozen=True)
class Program:
    document: Mapping[str, Any]
    project_limit: int | None
    actions: tuple[tuple[str, int], ...]  # (what, of which run)


@st.composite
def programs(draw: st.DrawFn) -> Program:
    count = draw(st.integers(1, 5))
    nodes = [{"id": f"n{place}", **draw(st.sampled_from(KINDS))} for place in range(count)]
    pairs = [(a, b) for a in range(count) for b in range(a + 1, count)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=6)) if pairs else []
    config: dict[str, Any] = {"max_concurrency": draw(st.integers(1, 3))}
    if draw(st.booleans()):
        config["concurrency"] = {"limit": draw(st.integers(1, 2))}
    if draw(st.integers(0, 3)) == 0:
        config["rate_limit"] = {"limit": "1/m"}
    if draw(st.integers(0, 3)) == 0:
        config["timeout"] = "80s"
    return Program(
        document={
            "nodes": nodes,
            "edges": [{"source": f"n{a}", "target": f"n{b}"} for a, b in edges],
            "config": config,
        },
        project_limit=draw(st.sampled_from([None, None, 1, 2])),
        actions=tuple(draw(st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 2)), max_size=14))),
    )


class World:
    """One workflow and its runs, of which anything may be asked."""

    def __init__(self, made: Flow, frozen_clock: FrozenClock) -> None:
        self.made = made
        self.clock = frozen_clock
        self.runs: list[Run] = []
        ids = {"project": made.workflow.project_id, "workflow": made.workflow.pk, "engine": ENGINE_ID}
        self.acts: dict[str, Callable[[Run | None], Any]] = {
            "start": lambda _: self.runs.append(made.start()),
            "start later": lambda _: self.runs.append(
                made.start_with(run_at=clock.now() + START.resolution * 30 * 10**6)
            ),
            "answer": lambda _: self.answer(),
            "sweep": lambda _: timers.run_once(clock.now()),
            "advance": lambda _: frozen_clock.advance(25),
            "decide": self.decide,
            "pause": lambda run: run and pause_run(run_id=run.pk),
            "resume": lambda run: run and resume_run(run_id=run.pk),
            "cancel": lambda run: run and cancel_run(run_id=run.pk),
            "run now": lambda run: run and run_now(run_id=run.pk),
            "pause engine": lambda _: pause_engine(reason="", by="ann"),
            "resume engine": lambda _: resume_engine(),
        }
        for scope, scope_id in ids.items():
            self.acts[f"freeze {scope}"] = lambda _, scope=scope, scope_id=scope_id: freeze(
                scope=scope, scope_id=scope_id, reason="", by="ann"
            )
            self.acts[f"thaw {scope}"] = lambda _, scope_id=scope_id: thaw(scope_id=scope_id, rate="2/m")

    def act(self, name: str, which: int) -> None:
        run = self.runs[which % len(self.runs)] if self.runs else None
        with contextlib.suppress(FlowForgeError):  # refused: nothing has happened
            self.acts[name](run)

    def answer(self) -> None:
        """The oldest hint, if somebody is there to answer it."""
        if self.made.bell.rings:
            ring = self.made.bell.rings.pop(0)
            if ring.queue in SERVED or ring.name == core_bell.DRIVE:
                self.made.answer(ring)

    def decide(self, run: Run | None) -> None:
        for waiting in StepRun.objects.filter(run=run, status="waiting"):
            resolution = {"status": "completed", "output": None, "branch": None}
            resolve_step(run_id=waiting.run_id, step_id=waiting.pk, only=Q(status="waiting"), resolution=resolution)


def begun_by_driving(made: Flow, run: Run) -> list[str]:
    """The steps that begin, in order, when everybody who is there looks at this run."""
    since = Run.objects.values_list("event_seq", flat=True).get(pk=run.pk)
    made.bell.rings.clear()
    driver.drive(run.pk)
    for ring in [ring for ring in made.bell.rings if ring.run_id == run.pk and ring.name == core_bell.WORK]:
        if ring.queue in SERVED:
            worker.work(ring.run_id, ring.queue, last_chance=ring.last_chance)
    started = RunEvent.objects.filter(run_id=run.pk, seq__gt=since, event="step.started").order_by("seq")
    return [event.data["node_id"] for event in started]


def agrees(made: Flow, run: Run) -> bool:
    said = explain(run.pk, clock.now())
    begun = begun_by_driving(made, run)
    assert bool(begun) == bool(said.begins), (said, begun)
    if begun:
        assert begun[0] in said.begins, (said, begun)
        assert set(said.begins) <= set(begun), (said, begun)
        assert not [cause for cause in said.causes if cause.step is None or cause.step == begun[0]], (said, begun)
    ended = Run.objects.get(pk=run.pk).status in ("completed", "failed", "cancelled")
    assert begun or said.causes or said.ends or said.ended or ended or said.running, (said, begun)
    return ended or not (said.ends or said.ended)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(program=programs())
def test_it_works(flow: Any, project: Project, frozen_clock: FrozenClock, program: Program) -> None:
    frozen_clock.moment = START
    operating.forget()
    Effect.reset()
    with transaction.atomic():
        limit = {} if program.project_limit is None else {"max_concurrent_runs": program.project_limit}
        Project.objects.filter(pk=project.pk).update(settings=limit)
        project.refresh_from_db()
        made: Flow = flow(program.document)
        made.bell.rings.clear()
        world = World(made, frozen_clock)
        for what, which in [("start", 0), *program.actions]:
            world.act(what, which)
        factories.make_worker(pools=dict.fromkeys((core_bell.CONTROL_QUEUE, *SERVED), POOL))
        for run in world.runs:
            operating.forget()
            sid = transaction.savepoint()
            assert agrees(made, run)
            transaction.savepoint_rollback(sid)
        transaction.set_rollback(True)
    operating.forget()
