"""The engine without a broker: hints are recorded and answered here, in any order and as often as a test likes."""

import itertools
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from django.db import connection

from flowforge.core import bell as core_bell
from flowforge.engine import driver, worker
from flowforge.kernel.validation import validate
from flowforge.projects.models import Project
from runs.models import Run, RunEvent, StepRun
from runs.services.start import start_run
from tests import factories
from tests.support import step_types
from tests.support.bells import BellRecorder, Ring
from workflows.models import Workflow
from workflows.services.definitions import step_types as registry


@pytest.fixture(autouse=True)
def _step_types(settings: Any) -> Iterator[None]:
    settings.STEP_TYPES = list(step_types.PATHS)
    step_types.Effect.reset()
    step_types.Gate.reset()
    yield
    step_types.Gate.opened.set()


class Flow:
    """Runs of one definition, driven by answering hints."""

    def __init__(self, bell: BellRecorder, workflow: Workflow) -> None:
        self.bell = bell
        self.workflow = workflow

    def start(self, **inputs: Any) -> Run:
        return self.start_with(inputs=inputs)

    def start_with(self, **options: Any) -> Run:
        return start_run(workflow=self.workflow, caller_actor="test", **{"inputs": {}, **options}).run

    def answer(self, ring: Ring) -> None:
        if ring.name == core_bell.DRIVE:
            driver.drive(ring.run_id)
        else:
            worker.work(ring.run_id, ring.queue, last_chance=ring.last_chance)

    def drain(self, *, shuffle: random.Random | None = None, copies: int = 1) -> int:
        return self.bell.drain(self.answer, shuffle=shuffle, copies=copies)

    def run(self, **inputs: Any) -> Run:
        """Start a run and answer hints until there are none."""
        run = self.start(**inputs)
        self.drain()
        return fresh(run)


@pytest.fixture
def flow(project: Project, bell: BellRecorder, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Flow]:
    """`flow(nodes=[…], edges=[…], config={…}, output=…)`: a stored, valid definition to run."""
    if connection.in_atomic_block:  # a test in a transaction that never commits
        monkeypatch.setattr(core_bell, "drive", core_bell.drive_now)

    def make(document: Mapping[str, Any] | None = None, **parts: Any) -> Flow:
        found = validate({"nodes": [], "edges": [], **(document or {}), **parts}, registry())
        assert found.errors == []
        assert found.document is not None
        return Flow(bell, factories.make_workflow(project=project, definition=found.document))

    return make


def fresh(run: Run) -> Run:
    return Run.objects.get(pk=run.pk)


def step(run: Run, node_id: str) -> StepRun:
    return StepRun.objects.get(run_id=run.pk, node_id=node_id)


def statuses(run: Run) -> dict[str, str]:
    return dict(StepRun.objects.filter(run_id=run.pk).values_list("node_id", "status"))


def events(run: Run, node_id: str | None = None) -> list[str]:
    """Names of the run's events in order; of one node's with `node_id`."""
    rows = RunEvent.objects.filter(run_id=run.pk).order_by("seq")
    return [row.event for row in rows if node_id is None or row.data.get("node_id") == node_id]


def effect(node_id: str, **config: Any) -> dict[str, Any]:
    return {"id": node_id, "type": "effect", "config": config}


def chain(*nodes: Mapping[str, Any]) -> dict[str, Any]:
    """A definition in which each node follows the one before it."""
    edges = [{"source": a["id"], "target": b["id"]} for a, b in itertools.pairwise(nodes)]
    return {"nodes": list(nodes), "edges": edges}
