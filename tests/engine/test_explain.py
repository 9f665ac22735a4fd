"""Why a run does not move: each cause, with who holds it and what would help."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flowforge.core import clock
from flowforge.core.bell import CONTROL_QUEUE
from flowforge.engine import driver
from flowforge.engine.explain import Explanation, explain
from flowforge.engine.obstacles import Obstacle
from flowforge.operating.services import freeze, pause_engine, thaw
from flowforge.projects.models import Project
from flowforge.workers.models import Worker
from runs.models import Run, RunEvent
from runs.services import cancel_run, pause_run
from tests import factories
from tests.engine.conftest import Flow, chain, effect, fresh, step
from tests.support.clock import FrozenClock
from tests.support.step_types import Effect

pytestmark = pytest.mark.django_db
MakeFlow = Callable[..., Flow]
POOL = {"slots": 4, "busy": 0, "heard_at": None, "hint_at": None}


@pytest.fixture(autouse=True)
def _fleet(db: None, frozen_clock: FrozenClock) -> Worker:
    return factories.make_worker(pools={CONTROL_QUEUE: POOL, "default": POOL, "full": {**POOL, "busy": 4}})


def asked(run: Run) -> Explanation:
    return explain(run.pk, clock.now())


def only(run: Run) -> Obstacle:
    found = asked(run)
    assert list(found.begins) == []
    assert len(found.causes) == 1, found.causes
    return found.causes[0]


def test_it_works(flow: MakeFlow) -> None:
    made = flow(chain(effect("a"), effect("b")))
    run = made.start()
    assert (list(asked(run).causes), asked(run).begins) == ([], ["a"])
    assert asked(run).summary == "It goes on at once: a is about to begin."
    made.drain()
    assert asked(run).summary == "The run has ended."
    assert Effect.order == ["a", "b"]


def test_asking_writes_nothing(flow: MakeFlow) -> None:
    made = flow(chain({"id": "t", "type": "transform", "config": {"values": {"a": 1}}}, effect("b")))
    run = made.start()
    before = (Run.objects.values().get(), RunEvent.objects.count())
    with CaptureQueriesContext(connection) as queries:
        asked(run)
    assert all(query["sql"].startswith("SELECT") for query in queries)
    assert (Run.objects.values().get(), RunEvent.objects.count()) == before


def test_frozen_and_thawing(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    made = flow(nodes=[effect("a")])
    project_id = made.workflow.project_id
    freeze(scope="project", scope_id=project_id, reason="so", by="ann")
    first, second = made.run(), made.run()
    cause = only(second)
    assert (cause.code, cause.holder, cause.unblock) == ("frozen", ("project", str(project_id)), ("thaw",))
    assert (cause.since, cause.message) == (clock.now(), "The project was frozen by ann: so")
    thaw(scope_id=project_id, rate="1/m")
    assert [only(first).position, only(second).position] == [1, 2]


def test_paused_and_maintenance(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("a")])
    run = made.start()
    pause_run(run_id=run.pk)
    assert (only(run).code, only(run).unblock) == ("paused", ("resume",))
    pause_engine(reason="an upgrade", by="ann")
    assert [cause.code for cause in asked(run).causes] == ["engine_paused", "paused"]


def test_a_place_in_the_project(flow: MakeFlow, project: Project) -> None:
    Project.objects.filter(pk=project.pk).update(settings={"max_concurrent_runs": 1})
    made = flow(nodes=[effect("a"), effect("b")])
    made.workflow.project.refresh_from_db()
    holder = made.start()
    driver.drive(holder.pk)
    second, third = made.start(), made.start()
    for run in (second, third):
        driver.drive(run.pk)
    assert (only(third).code, only(third).position) == ("concurrency_limit", 2)
    assert only(third).holder == ("run", str(holder.pk))
    Project.objects.filter(pk=project.pk).update(settings={"max_concurrent_runs": 3})
    assert asked(third).causes == []


def test_a_place_of_a_key(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("a"), effect("b")], config={"concurrency": {"key": "{{ inputs.who }}", "limit": 1}})
    first, second = made.start(who="x"), made.start(who="x")
    driver.drive(first.pk)
    driver.drive(second.pk)
    assert (only(second).code, only(second).holder) == ("concurrency_key", ("run", str(first.pk)))


@pytest.mark.parametrize(
    ("node", "code", "holder_type"),
    [
        ({"type": "approval", "config": {"title": "?"}}, "waiting_for_approval", "step"),
        ({"type": "wait_event", "config": {"event": "go"}}, "waiting_for_event", "event"),
        ({"type": "delay", "config": {"duration": "1h"}}, "waiting_until", "step"),
    ],
)
def test_what_a_step_waits_for(flow: MakeFlow, node: dict[str, Any], code: str, holder_type: str) -> None:
    run = flow(chain({"id": "w", **node}, effect("b"))).run()
    cause = only(run)
    assert (cause.code, cause.step, cause.since) == (code, "w", clock.now())
    assert cause.holder is not None
    assert cause.holder[0] == holder_type


def test_the_next_attempt(flow: MakeFlow) -> None:
    retry = {"max_attempts": 3, "initial_delay": "1m", "jitter": 0}
    run = flow(nodes=[{**effect("a", fail_times=2), "retry": retry}]).run()
    cause = only(run)
    assert (cause.code, cause.until) == ("retry_backoff", clock.now() + timedelta(minutes=1))
    assert "attempt 2 of 3" in cause.message


def test_run_at(flow: MakeFlow) -> None:
    run = flow(nodes=[effect("a")]).start_with(run_at=clock.now() + timedelta(hours=1))
    assert (only(run).code, only(run).unblock) == ("waiting_until", ("run_now",))


@pytest.mark.parametrize(("queue", "code"), [("gpu", "no_worker_for_queue"), ("full", "waiting_for_worker")])
def test_workers_of_a_queue(flow: MakeFlow, queue: str, code: str) -> None:
    run = flow(nodes=[{**effect("a"), "queue": queue}]).start()
    driver.drive(run.pk)
    assert (only(run).code, only(run).holder) == (code, ("queue", queue))


def test_nobody_is_alive(flow: MakeFlow) -> None:
    Worker.objects.all().delete()
    assert only(flow(nodes=[effect("a")]).start()).code == "waiting_for_worker"


def test_what_runs_and_what_waits_for_it(flow: MakeFlow) -> None:
    made = flow(chain(effect("a"), effect("b")), config={"max_concurrency": 1})
    run = made.start()
    seen: list[Explanation] = []
    Effect.before = lambda context: seen.append(asked(run)) if context.node_id == "a" else None
    made.drain()
    [cause] = seen[0].causes
    assert (cause.code, cause.step, cause.holder) == ("dependency", "b", ("step", str(step(run, "a").pk)))
    assert seen[0].summary == "It moves: a is running."


def test_a_cancelled_run_ends_frozen_or_not(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("a")])
    run = made.start()
    freeze(scope="workflow", scope_id=made.workflow.pk, reason="", by="ann")
    cancel_run(run_id=run.pk)
    assert asked(run).summary == "The run ends as soon as a driver looks at it."
    made.drain()
    assert fresh(run).status == "cancelled"
