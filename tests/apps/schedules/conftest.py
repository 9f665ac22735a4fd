"""A workflow to be scheduled, and a clock that stands still."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from flowforge.core import clock
from flowforge.projects.models import Project
from flowforge.schedules import clockwork
from flowforge.schedules.models import Schedule
from runs.models import Run
from tests import factories
from tests.support.api import ApiClient
from tests.support.clock import FrozenClock
from workflows.models import TriggerDecision, Workflow


@pytest.fixture(autouse=True)
def _quiet(bell: object, frozen_clock: FrozenClock) -> None:
    """Hints go nowhere, and time stands still: 2026-01-01T12:00:00Z, a Thursday."""


@pytest.fixture
def workflow(project: Project) -> Workflow:
    return factories.make_workflow(project=project, name="Daily import")


@pytest.fixture
def made(client: ApiClient, workflow: Workflow) -> Callable[..., Any]:
    """`made(cron="@daily", …)`: a schedule created over HTTP, as it was answered; every minute unless it says when."""

    def make(**fields: Any) -> Any:
        when = {} if fields.keys() & {"cron", "every", "at"} else {"every": "1m"}
        body = {"workflow_id": str(workflow.pk), "name": "Mine", **when, **fields}
        return client.post("/v1/schedules", body).expect(201).data

    return make


@pytest.fixture
def pass_time(frozen_clock: FrozenClock) -> Callable[..., None]:
    """`pass_time(90)`: the clock goes on by so many seconds in steps, and the clockwork looks after each."""

    def go_on(seconds: float, *, step: float | None = None, looking: bool = True) -> None:
        end = clock.now() + timedelta(seconds=seconds)
        while clock.now() < end:
            frozen_clock.advance(min(step or seconds, (end - clock.now()).total_seconds()))
            if looking:
                clockwork.run_once(clock.now())

    return go_on


def ledger(schedule_id: object) -> list[tuple[str, str]]:
    """(decision, reason) of each of its due times, in order."""
    rows = TriggerDecision.objects.filter(trigger_type="schedule", trigger_id=str(schedule_id))
    return list(rows.order_by("due_at", "created_at").values_list("decision", "reason"))


def runs_of(schedule_id: object) -> list[Run]:
    return list(Run.objects.filter(trigger_id=str(schedule_id)).order_by("start_key", "id"))


def end_runs(schedule_id: object) -> None:
    """Let all its runs end well."""
    Run.objects.filter(trigger_id=str(schedule_id), finished_at=None).update(
        status="completed", finished_at=clock.now(), wake_at=None
    )


def stored(schedule_id: object) -> Schedule:
    return Schedule.objects.get(pk=schedule_id)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
