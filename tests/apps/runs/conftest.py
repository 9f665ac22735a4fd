"""What the tests of runs share: rows without an engine."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flowforge.api.models import RateWindow
from flowforge.core import clock
from flowforge.projects.models import Project
from runs.models import Run, RunEvent, StepRun
from tests import factories
from workflows.models import Workflow

CHAIN = {
    "nodes": [
        {"id": "extract", "name": "Extract rows", "type": "transform", "config": {"values": {"n": 1}}},
        {"id": "load", "type": "transform", "config": {"values": {"n": 2}}, "retry": {"max_attempts": 5}},
    ],
    "edges": [{"source": "extract", "target": "load"}],
    "config": {"priority": 3},
    "input_schema": {
        "type": "object",
        "required": ["day"],
        "properties": {"day": {"type": "string"}, "mode": {"type": "string", "default": "full"}},
    },
}


@pytest.fixture(autouse=True)
def _no_broker(bell: object) -> None:
    """No test of runs reaches a broker."""


@pytest.fixture
def workflow(project: Project) -> Workflow:
    """One step, any inputs."""
    return factories.make_workflow(project=project)


@pytest.fixture
def chain(project: Project) -> Workflow:
    """Two steps, priority 3, an input `day` and one with a default."""
    return factories.make_workflow(project=project, definition=CHAIN)


@pytest.fixture
def log_lines() -> Callable[..., None]:
    """`log_lines(step, 30)` appends lines `line 1` … to the run's history."""

    def write(step: StepRun, count: int, **fields: Any) -> None:
        first = step.run.events.count() + 1
        RunEvent.objects.bulk_create(
            RunEvent(
                run=step.run,
                seq=first + number,
                event="step.log",
                step_id=step.id,
                data={"level": "info", "message": f"line {number + 1}"},
                **fields,
            )
            for number in range(count)
        )

    return write


@pytest.fixture
def end() -> Callable[..., Run]:
    """`end(run, "failed", error={…})`: the run as the engine leaves it."""

    def write(run: Run, status: str = "completed", **fields: Any) -> Run:
        Run.objects.filter(pk=run.pk).update(status=status, finished_at=clock.now(), wake_at=None, **fields)
        run.refresh_from_db()
        return run

    return write


class OwnQueries(CaptureQueriesContext):
    """Statements without those that count calls, which depend on where they are counted."""

    @property
    def statements(self) -> list[str]:
        found = [query["sql"] for query in self.captured_queries]
        return [sql for sql in found if RateWindow._meta.db_table not in sql]


@pytest.fixture
def own_queries() -> OwnQueries:
    """`with own_queries: …` then `assert len(own_queries.statements) == 3`."""
    return OwnQueries(connection)
