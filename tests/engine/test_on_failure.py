"""`config.on_failure`: the workflow that a failed run starts."""

from collections.abc import Callable
from typing import Any

import pytest

from flowforge.engine import driver
from flowforge.engine.driver import Drive
from flowforge.engine.store import runs as run_store
from flowforge.engine.store.rows import Commit, LeaseLost
from runs.models import Run, StepRun
from tests.engine.conftest import Flow, effect, fresh
from workflows.models import Workflow

pytestmark = pytest.mark.django_db
MakeFlow = Callable[..., Flow]
BREAKS = effect("breaks", fail_times=9, code="boom")


def started_by(run: Run) -> list[Run]:
    return list(Run.objects.filter(trigger_type="on_failure", trigger_id=str(run.pk)))


def handler(flow: MakeFlow, **parts: Any) -> Workflow:
    return flow(nodes=[effect("tell", value="{{ inputs.error.message }}")], **parts).workflow


def test_it_works(flow: MakeFlow) -> None:
    called = handler(flow)
    rule = {"workflow_id": str(called.pk), "inputs": {"more": "{{ steps.breaks.error.code }}"}}
    made = flow(nodes=[BREAKS], config={"on_failure": rule})
    run = made.run(n=1)
    assert run.status == "failed"
    (started,) = started_by(run)
    assert started.status == "completed"
    assert (started.workflow_id, started.parent_run_id, started.depth) == (called.pk, run.pk, 1)
    assert started.inputs == {
        "run_id": str(run.pk),
        "workflow_id": str(made.workflow.pk),
        "workflow_name": made.workflow.name,
        "error": run.error,
        "failed_step": "breaks",
        "inputs": {"n": 1},
        "more": "boom",
    }


@pytest.mark.parametrize("broken", [{"status": "paused"}, {"input_schema": {"type": "object", "required": ["x"]}}])
def test_it_rejects_to_hold_up_the_failure(flow: MakeFlow, broken: dict[str, Any], caplog: Any) -> None:
    called = handler(flow, **{name: value for name, value in broken.items() if name != "status"})
    Workflow.objects.filter(pk=called.pk).update(status=broken.get("status", "active"))
    run = flow(nodes=[BREAKS], config={"on_failure": {"workflow_id": str(called.pk)}}).run()
    assert run.status == "failed"
    assert started_by(run) == []
    assert "on_failure started nothing" in caplog.text


def test_an_expression_that_fails_holds_up_nothing(flow: MakeFlow, caplog: Any) -> None:
    rule = {"workflow_id": str(handler(flow).pk), "inputs": {"x": "{{ 1 // 0 }}"}}
    run = flow(nodes=[BREAKS], config={"on_failure": rule}).run()
    assert run.status == "failed"
    assert started_by(run) == []
    assert "on_failure" in caplog.text


def test_only_failures_start_it(flow: MakeFlow) -> None:
    rule = {"workflow_id": str(handler(flow).pk)}
    run = flow(nodes=[effect("fine")], config={"on_failure": rule}).run()
    assert (run.status, started_by(run)) == ("completed", [])


def test_a_handler_that_fails_starts_itself_no_second_time(flow: MakeFlow) -> None:
    made = flow(nodes=[BREAKS], config={"on_failure": {"workflow_id": "{{ run.workflow_id }}"}})
    run = made.run()
    (started,) = started_by(run)
    assert started.status == "failed"
    assert started_by(started) == []
    assert Run.objects.count() == 2


def test_two_that_handle_each_other_come_to_an_end(flow: MakeFlow) -> None:
    first = flow(nodes=[BREAKS], config={"on_failure": {"workflow_id": "{{ project.variables.other }}"}})
    second = flow(nodes=[BREAKS], config={"on_failure": {"workflow_id": str(first.workflow.pk)}})
    first.workflow.project.settings = {"variables": {"other": str(second.workflow.pk)}}
    first.workflow.project.save(update_fields=["settings"])
    run = first.run()
    assert run.status == "failed"
    assert Run.objects.count() == 11


def test_it_is_started_with_the_failure_or_not_at_all(flow: MakeFlow, monkeypatch: pytest.MonkeyPatch) -> None:
    made = flow(nodes=[BREAKS], config={"on_failure": {"workflow_id": str(handler(flow).pk)}})
    run = made.start()
    commit = run_store.commit

    def lose(asked: Commit) -> Any:
        if asked.along is not None:  # the end: another process has taken the run meanwhile
            Run.objects.filter(pk=run.pk).update(lease_token=99)
        return commit(asked)

    claimed = run_store.claim_run(run.pk, "here", run.created_at, 3600.0)
    assert claimed is not None
    with monkeypatch.context() as patch:
        patch.setattr(run_store, "commit", lose)
        with pytest.raises(LeaseLost):
            Drive(claimed).go()
    assert (fresh(run).status, started_by(run)) == ("running", [])
    Run.objects.filter(pk=run.pk).update(lease_expires_at=None)  # what the one that is lost held has lapsed
    StepRun.objects.filter(run=run).update(lease_expires_at=run.created_at)
    driver.drive(run.pk)
    made.drain()
    assert fresh(run).status == "failed"
    assert len(started_by(run)) == 1
