"""Every limit of a project, with who occupies it."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from flowforge.core import clock
from flowforge.engine import driver
from flowforge.engine.limits import Limit, limits_of_project
from flowforge.operating.services import freeze, thaw
from flowforge.projects.models import Project
from runs.models import StepRun
from tests import factories
from tests.engine.conftest import Flow, effect
from tests.support.clock import FrozenClock

pytestmark = pytest.mark.django_db
MakeFlow = Callable[..., Flow]


def found(project: Project, kind: str) -> list[Limit]:
    project.refresh_from_db()
    return [limit for limit in limits_of_project(project, clock.now()) if limit.kind == kind]


def test_it_works(flow: MakeFlow, project: Project) -> None:
    Project.objects.filter(pk=project.pk).update(settings={"max_concurrent_runs": 1})
    made = flow(nodes=[effect("a"), effect("b")])
    made.workflow.project.refresh_from_db()
    first, second = made.start(), made.start()
    for run in (first, second):
        driver.drive(run.pk)
    [limit] = found(project, "project_runs")
    assert (limit.limit, limit.occupied, limit.waiting) == ("1", 1, 1)
    assert [(holder.type, holder.id) for holder in limit.holders] == [("run", str(first.pk))]


def test_it_says_where_no_limit_is_set(project: Project) -> None:
    [limit] = found(project, "project_runs")
    assert (limit.limit, limit.occupied, limit.waiting, list(limit.holders)) == (None, 0, 0, [])


def test_keys(flow: MakeFlow, project: Project) -> None:
    made = flow(nodes=[effect("a"), effect("b")], config={"concurrency": {"key": "{{ inputs.who }}", "limit": 1}})
    for who in ("x", "x", "y"):
        driver.drive(made.start(who=who).pk)
    limits = {limit.key: limit for limit in found(project, "concurrency_key")}
    assert {key: (limit.limit, limit.occupied, limit.waiting) for key, limit in limits.items()} == {
        "x": ("1", 1, 1),
        "y": ("1", 1, 0),
    }


def test_paces(flow: MakeFlow, project: Project, frozen_clock: FrozenClock) -> None:
    made = flow(nodes=[effect("a")], config={"rate_limit": {"limit": "2/m"}})
    for _ in range(3):
        made.run()
    [limit] = found(project, "rate_limit")
    assert (limit.limit, limit.occupied, limit.waiting) == ("2/m", 2, 1)
    assert limit.free_at == clock.now() + timedelta(seconds=30)
    frozen_clock.advance(120)
    assert found(project, "rate_limit") == []


def test_steps_of_a_run_whose_lease_is_alive(flow: MakeFlow, project: Project) -> None:
    made = flow(nodes=[effect("a"), effect("b")], config={"max_concurrency": 1})
    run = made.start()
    driver.drive(run.pk)
    step = StepRun.objects.filter(run=run, node_id="a")
    step.update(status="running", started_at=clock.now(), lease_expires_at=clock.now() + timedelta(seconds=8))
    [limit] = found(project, "run_steps")
    assert (limit.limit, limit.occupied, limit.waiting) == ("1", 1, 1)
    assert [holder.id for holder in limit.holders] == [str(step.get().pk)]
    step.update(lease_expires_at=clock.now())  # its worker is dead: nothing leaks
    assert found(project, "run_steps") == []


def test_a_thaw(flow: MakeFlow, project: Project) -> None:
    made = flow(nodes=[effect("a")])
    freeze(scope="workflow", scope_id=made.workflow.pk, reason="", by="ann")
    for _ in range(3):
        made.run()
    assert found(project, "thaw") == []
    thaw(scope_id=made.workflow.pk, rate="10/m")
    [limit] = found(project, "thaw")
    assert (limit.scope, limit.limit, limit.waiting) == (("workflow", str(made.workflow.pk)), "10/m", 3)


def test_queues(project: Project) -> None:
    pool = {"slots": 4, "busy": 3, "heard_at": None, "hint_at": None}
    for _ in range(2):
        factories.make_worker(pools={"default": pool})
    [limit] = found(project, "queue")
    assert (limit.key, limit.limit, limit.occupied) == ("default", "8", 6)
