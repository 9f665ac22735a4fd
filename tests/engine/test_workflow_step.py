"""`workflow` steps: runs that runs start, wait for and take along."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError

from flowforge.core import clock
from flowforge.engine import driver, relatives, timers, worker
from flowforge.engine.store.rows import LeaseLost
from flowforge.projects.models import Project
from runs.models import Run
from runs.services import cancel_run, lineage
from tests import factories
from tests.engine.conftest import Flow, chain, effect, events, fresh, step
from tests.support.clock import FrozenClock
from tests.support.step_types import Effect
from workflows.models import Workflow
from workflows.services.definitions import check

pytestmark = pytest.mark.django_db
MakeFlow = Callable[..., Flow]
LATER = {"id": "wait", "type": "delay", "config": {"duration": "1h"}}


def calling(workflow: Workflow, node_id: str = "call", **fields: Any) -> dict[str, Any]:
    config = {"workflow_id": str(workflow.pk), **fields.pop("config", {})}
    return {"id": node_id, "type": "workflow", "config": config, **fields}


def child_of(run: Run) -> Run:
    return Run.objects.get(parent_run=run)


def test_it_works(flow: MakeFlow) -> None:
    child = flow(nodes=[effect("double", value="{{ inputs.n * 2 }}")], output={"n": "{{ steps.double.output }}"})
    call = calling(child.workflow, config={"inputs": {"n": "{{ inputs.n }}"}})
    made = flow(chain(call, effect("after", value="{{ steps.call.output.n + 1 }}")))
    run = made.run(n=20)
    assert run.status == "completed"
    assert run.outputs == {"after": 41}
    started = child_of(run)
    assert (started.trigger_type, started.trigger_id) == ("workflow", str(step(run, "call").pk))
    assert (started.inputs, started.depth, started.awaited) == ({"n": 20}, 1, True)
    assert started.trace_id == run.trace_id
    assert events(run, "call") == ["step.started", "step.waiting", "step.completed"]


def test_an_outage_of_the_database_is_no_failure_of_the_step(flow: MakeFlow, monkeypatch: pytest.MonkeyPatch) -> None:
    """The step may be tried once; its connection is cut while it starts its child."""
    made = flow(nodes=[calling(flow(nodes=[effect("only")]).workflow, retry={"max_attempts": 1})])
    cut = [OperationalError("the connection is closed")]
    start_child = lineage.start_child

    def away(start: lineage.Start) -> uuid.UUID:
        if cut:
            raise cut.pop()
        return start_child(start)

    monkeypatch.setattr(relatives, "start_child", away)
    run = made.run()
    assert run.status == "completed"
    assert step(run, "call").attempt == 1
    assert events(run, "call") == ["step.started", "step.retrying", "step.started", "step.waiting", "step.completed"]


def test_a_fault_of_the_step_is_told_from_an_outage(flow: MakeFlow, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(_: lineage.Start) -> uuid.UUID:
        raise OperationalError("no such table: x")

    monkeypatch.setattr(relatives, "start_child", wrong)
    run = flow(nodes=[calling(flow(nodes=[effect("only")]).workflow, retry={"max_attempts": 1})]).run()
    assert run.status == "failed"
    assert step(run, "call").error["code"] == "step_error"


def test_it_rejects_a_workflow_that_is_not_there(flow: MakeFlow, other_project: Project) -> None:
    foreign = factories.make_workflow(project=other_project)
    for wrong in (str(foreign.pk), str(uuid.uuid4()), "nonsense"):
        run = flow(nodes=[{"id": "call", "type": "workflow", "config": {"workflow_id": wrong}}]).run()
        assert run.error["details"]["code"] == "not_found"


def test_it_rejects_to_save_a_workflow_that_is_not_there(project: Project, other_project: Project) -> None:
    ours, theirs = factories.make_workflow(project=project), factories.make_workflow(project=other_project)
    document = {
        "nodes": [calling(ours, "a"), calling(theirs, "b")],
        "edges": [],
        "config": {"on_failure": {"workflow_id": str(theirs.pk)}},
    }
    assert [(fault.pointer, fault.code) for fault in check(document, project).errors] == [
        ("/nodes/1/config/workflow_id", "unknown_workflow"),
        ("/config/on_failure/workflow_id", "unknown_workflow"),
    ]
    tasks = {"tasks": [{"name": "a", "type": "workflow", "payload": {"workflow_id": str(theirs.pk)}}]}
    assert [fault.pointer for fault in check(tasks, project).errors] == ["/tasks/0/payload/workflow_id"]


def test_inputs_that_do_not_fit_fail_the_step(flow: MakeFlow) -> None:
    child = flow(nodes=[effect("only")], input_schema={"type": "object", "required": ["day"]})
    run = flow(nodes=[calling(child.workflow)]).run()
    cause = run.error["details"]
    assert cause["code"] == "invalid_inputs"
    assert cause["details"]["errors"][0]["pointer"] == "/inputs/day"


def test_a_child_that_fails_fails_its_step(flow: MakeFlow) -> None:
    child = flow(nodes=[effect("breaks", fail_times=1)])
    run = flow(nodes=[calling(child.workflow)]).run()
    assert run.status == "failed"
    cause = run.error["details"]
    assert cause["code"] == "child_failed"
    assert cause["details"]["run_id"] == str(child_of(run).pk)
    assert cause["details"]["error"]["code"] == "step_failed"


def test_without_wait_it_goes_on_at_once(flow: MakeFlow) -> None:
    child = flow(nodes=[LATER])
    run = flow(nodes=[calling(child.workflow, config={"wait": False})]).run()
    assert run.outputs == {"call": {"run_id": str(child_of(run).pk)}}
    assert child_of(run).status == "waiting"


def test_waiting_holds_nothing(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    child = flow(nodes=[LATER])
    made = flow(nodes=[calling(child.workflow)])
    run = made.run()
    assert (run.status, run.lease_expires_at, run.wake_at) == ("waiting", None, None)
    frozen_clock.advance(3600)
    timers.run_once(clock.now())
    made.drain()
    assert fresh(run).status == "completed"


def test_the_end_of_a_child_is_heard_without_its_hint(flow: MakeFlow) -> None:
    child = flow(nodes=[effect("only")])
    made = flow(nodes=[calling(child.workflow)])
    run = made.start()
    driver.drive(run.pk)
    driver.drive(child_of(run).pk)
    made.bell.rings.clear()
    assert fresh(run).status == "waiting"
    timers.run_once(clock.now())
    made.drain()
    assert fresh(run).status == "completed"


def test_a_child_may_end_before_its_step_waits(flow: MakeFlow, monkeypatch: pytest.MonkeyPatch) -> None:
    child = flow(nodes=[effect("only")])
    made = flow(nodes=[calling(child.workflow)])
    start = lineage.start_child
    run = made.start()

    def start_and_end(asked: lineage.Start) -> uuid.UUID:
        run_id = start(asked)
        driver.drive(run_id)
        assert Run.objects.get(pk=run_id).status == "completed"
        return run_id

    monkeypatch.setattr("flowforge.engine.relatives.start_child", start_and_end)
    made.drain()
    assert fresh(run).status == "completed"


def test_a_step_that_is_done_again_starts_no_second_child(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    child = flow(nodes=[effect("only", value=7)])
    made = flow(nodes=[calling(child.workflow), effect("beside")])
    run = made.start()
    driver.drive(run.pk)

    def dies(*_: object, **__: object) -> None:
        raise LeaseLost

    with pytest.MonkeyPatch.context() as patch:  # the worker dies with the child started, its step still running
        patch.setattr("flowforge.engine.store.steps.settle_steps", dies)
        with pytest.raises(LeaseLost):
            worker.work(run.pk, "default")
    frozen_clock.advance(30)
    timers.run_once(clock.now())
    made.drain()
    assert fresh(run).status == "completed"
    assert step(run, "call").output == {"only": 7}
    assert Run.objects.filter(parent_run=run).count() == 1
    assert Effect.seen[(str(child_of(run).pk), "only")] == 1


def test_children_are_cancelled_along(flow: MakeFlow) -> None:
    child = flow(nodes=[LATER])
    made = flow(nodes=[calling(child.workflow), calling(child.workflow, "loose", config={"wait": False})])
    run = made.run()
    cancel_run(run_id=run.pk)
    made.drain()
    assert fresh(run).status == "cancelled"
    ended = {found.awaited: found.status for found in Run.objects.filter(parent_run=run)}
    assert ended == {True: "cancelled", False: "waiting"}


def test_a_timeout_ends_the_child(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    child = flow(nodes=[LATER])
    made = flow(nodes=[calling(child.workflow, timeout="5m")])
    run = made.run()
    frozen_clock.advance(300)
    timers.run_once(clock.now())
    made.drain()
    assert fresh(run).error["details"]["code"] == "timeout"
    assert child_of(run).status == "cancelled"


def test_a_run_out_of_time_takes_its_children_along(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    child = flow(nodes=[LATER])
    made = flow(nodes=[calling(child.workflow)], config={"timeout": "10m"})
    run = made.run()
    frozen_clock.advance(600)
    timers.run_once(clock.now())
    made.drain()
    assert fresh(run).error["code"] == "timeout"
    assert child_of(run).status == "cancelled"


def test_a_run_that_is_about_to_end_starts_nothing(flow: MakeFlow) -> None:
    child = flow(nodes=[effect("only")])
    made = flow(nodes=[calling(child.workflow), effect("beside")])
    run = made.start()
    driver.drive(run.pk)
    start = lineage.start_child

    def cancel_first(asked: lineage.Start) -> uuid.UUID:
        cancel_run(run_id=run.pk)
        return start(asked)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flowforge.engine.relatives.start_child", cancel_first)
        made.drain()
    assert fresh(run).status == "cancelled"
    assert not Run.objects.filter(parent_run=run).exists()


def test_recursion_ends(flow: MakeFlow) -> None:
    made = flow(nodes=[{"id": "again", "type": "workflow", "config": {"workflow_id": "{{ run.workflow_id }}"}}])
    run = made.run()
    assert run.status == "failed"
    assert Run.objects.filter(workflow=made.workflow).count() == lineage.MAX_DEPTH + 1
    deepest = Run.objects.get(workflow=made.workflow, depth=lineage.MAX_DEPTH)
    assert deepest.error["details"]["code"] == "too_deep"
