"""Definitions and a stored workflow to test with."""

import uuid
from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise
from typing import Any

import pytest
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from flowforge.api.caller import Caller
from flowforge.api.models import RateWindow
from flowforge.projects.models import Project
from tests import factories
from tests.support.api import ApiClient
from workflows import ports
from workflows.models import Workflow


def count(queries: CaptureQueriesContext) -> int:
    """Without those that count the call on a rate limit: where they go depends on the installation."""
    return sum(RateWindow._meta.db_table not in query["sql"] for query in queries.captured_queries)


class FakeRuns:
    """The port to runs (workflows/ports.py) as a test fills it."""

    def __init__(self) -> None:
        self.last: dict[uuid.UUID, tuple[uuid.UUID, str]] = {}
        self.live: dict[uuid.UUID, int] = {}
        self.cancelled_by: list[tuple[uuid.UUID, str]] = []
        self.versions: dict[uuid.UUID, tuple[uuid.UUID, uuid.UUID]] = {}
        self.states: dict[uuid.UUID, Mapping[str, str]] = {}

    def last_runs(self, workflow_ids: Collection[uuid.UUID], /) -> Mapping[uuid.UUID, tuple[uuid.UUID, str]]:
        return {key: self.last[key] for key in workflow_ids if key in self.last}

    def live_count(self, workflow_id: uuid.UUID, /) -> int:
        return self.live.get(workflow_id, 0)

    def cancel_live(self, workflow_id: uuid.UUID, actor: str, /) -> int:
        self.cancelled_by.append((workflow_id, actor))
        return self.live.pop(workflow_id, 0)

    def version_of(self, run_id: uuid.UUID, /) -> tuple[uuid.UUID, uuid.UUID] | None:
        return self.versions.get(run_id)

    def step_states(self, run_id: uuid.UUID, caller: Caller, /) -> Mapping[str, str] | None:
        return self.states.get(run_id)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRuns]:
    """Stands in for the runs of the layer above."""
    fake = FakeRuns()
    monkeypatch.setattr(f"{__name__}.fake_runs", lambda: fake, raising=False)
    with override_settings(WORKFLOW_RUNS_PORT=f"{__name__}.fake_runs"):
        ports.runs_port.cache_clear()
        yield fake
    ports.runs_port.cache_clear()


def step(node_id: str, **values: str) -> dict[str, Any]:
    """A node that needs nothing."""
    return {"id": node_id, "type": "transform", "config": {"values": values or {"answer": "{{ 42 }}"}}}


def chain(*node_ids: str) -> dict[str, Any]:
    """One step after the other."""
    return {
        "nodes": [step(node_id) for node_id in node_ids],
        "edges": [{"source": a, "target": b} for a, b in pairwise(node_ids)],
    }


@pytest.fixture
def workflow(project: Project) -> Workflow:
    """`a` then `b`, at version 1."""
    return factories.make_workflow(project=project, name="Daily import", tags=["finance"], definition=chain("a", "b"))


@pytest.fixture
def path(workflow: Workflow) -> str:
    return f"/v1/workflows/{workflow.pk}"


@pytest.fixture
def made(client: ApiClient) -> Any:
    """`made(name=…, nodes=…)`: a workflow created over HTTP, as it was answered."""

    def make(**body: Any) -> Any:
        return client.post("/v1/workflows", {"name": "Made", **chain("a", "b"), **body}).expect(201).data

    return make
