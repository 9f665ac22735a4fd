"""Approvals on their way through a run: decided, refused, late; and results that are forced."""

from collections.abc import Callable
from typing import Any

import pytest

from flowforge.api.caller import Caller
from flowforge.core.errors import Conflict
from flowforge.engine import driver, worker
from flowforge.projects.models import Project
from runs.models import Run, RunEvent
from runs.selectors import read_run
from runs.services import decide_approval, override_step, pause_run, resume_run
from tests.engine.conftest import Flow, chain, effect, events, fresh, statuses, step
from tests.support.clock import FrozenClock
from tests.support.step_types import Effect

pytestmark = pytest.mark.django_db
MakeFlow = Callable[..., Flow]


def approval(**config: Any) -> dict[str, Any]:
    return {"id": "review", "type": "approval", "config": config}


def branching(**config: Any) -> dict[str, Any]:
    nodes = [approval(**config), effect("go"), effect("stop"), effect("late")]
    labels = {"go": "approved", "stop": "rejected", "late": "expired"}
    return {
        "nodes": nodes,
        "edges": [{"source": "review", "target": target, "when": label} for target, label in labels.items()],
    }


@pytest.fixture
def caller(project: Project) -> Caller:
    return Caller(kind="key", id="k", name="ops key", grants={project.pk: frozenset({"runs:write"})})


def target(run: Run, node_id: str = "review") -> dict[str, Any]:
    row = read_run(run.pk)
    assert row is not None
    return {"run": row, "step_id": step(run, node_id).pk}


def told(run: Run, node_id: str = "review") -> dict[str, Any]:
    """The data of a node's newest event."""
    found = RunEvent.objects.filter(run_id=run.pk, step_id=step(run, node_id).pk).order_by("seq").last()
    assert found is not None
    return dict(found.data)


def test_it_works(flow: MakeFlow, caller: Caller) -> None:
    made = flow(branching(form={"properties": {"note": {"default": "fine"}}}))
    run = made.run()
    assert run.status == "waiting"
    assert told(run)["waits_for"] == "approval"
    assert run.wake_at is None
    decide_approval(**target(run), decision="approved", data={"amount": 3}, caller=caller)
    made.drain()
    assert fresh(run).status == "completed"
    review = step(run, "review")
    assert review.output == {"decision": "approved", "by": "ops key", "data": {"amount": 3, "note": "fine"}}
    assert statuses(run) == {"review": "completed", "go": "completed", "stop": "skipped", "late": "skipped"}
    assert told(run) | {"attempt": 1} == {
        "node_id": "review",
        "attempt": 1,
        "reason": "resolved",
        "branch": "approved",
        "by": "ops key",
        "actor": "key:k",
    }


def test_it_rejects_a_second_decision(flow: MakeFlow, caller: Caller) -> None:
    made = flow(branching())
    run = made.run()
    decide_approval(**target(run), decision="rejected", caller=caller)
    with pytest.raises(Conflict, match="decided already"):
        decide_approval(**target(run), decision="approved", caller=caller)
    made.drain()
    with pytest.raises(Conflict, match="decided already"):
        decide_approval(**target(run), decision="approved", caller=caller)
    assert statuses(run)["stop"] == "completed"


@pytest.mark.parametrize("on", ["success", "failure"])
def test_a_rejection_that_no_edge_takes_fails_the_step(flow: MakeFlow, caller: Caller, on: str) -> None:
    made = flow(nodes=[approval(), effect("next")], edges=[{"source": "review", "target": "next", "on": on}])
    run = made.run()
    decide_approval(**target(run), decision="rejected", caller=caller)
    made.drain()
    assert step(run, "review").error["code"] == "approval_rejected"
    assert fresh(run).status == ("failed" if on == "success" else "completed")
    assert told(run)["by"] == "ops key"


@pytest.mark.parametrize(
    ("on_timeout", "taken", "decision"),
    [("approve", "go", "approved"), ("reject", "stop", "rejected"), ("fail", "late", "expired")],
)
def test_what_the_timeout_decides(
    flow: MakeFlow, frozen_clock: FrozenClock, on_timeout: str, taken: str, decision: str
) -> None:
    made = flow(branching(timeout="1h", on_timeout=on_timeout))
    run = made.run()
    frozen_clock.advance(3601)
    driver.drive(run.pk)
    made.drain()
    assert fresh(run).status == "completed"
    assert statuses(run)[taken] == "completed"
    assert step(run, "review").output == {"decision": decision, "by": None, "data": {}}


def test_an_expiry_that_no_edge_takes_fails_the_step(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    made = flow(chain(approval(timeout="1h"), effect("next")))
    run = made.run()
    frozen_clock.advance(3601)
    driver.drive(run.pk)
    made.drain()
    assert fresh(run).status == "failed"
    assert step(run, "review").error["code"] == "approval_expired"


def test_it_rejects_a_decision_that_comes_late(flow: MakeFlow, caller: Caller, frozen_clock: FrozenClock) -> None:
    """Also if nobody has looked at the run since."""
    made = flow(branching(timeout="1h"))
    run = made.run()
    frozen_clock.advance(3600.1)
    with pytest.raises(Conflict, match="its time is up"):
        decide_approval(**target(run), decision="approved", caller=caller)
    assert fresh(run).pokes == run.pokes


def test_a_decision_while_the_driver_holds_the_run_is_not_lost(flow: MakeFlow, caller: Caller) -> None:
    """It decides on what it has read; what it writes of that is void, and it looks again."""
    made = flow(nodes=[approval(), effect("other"), effect("go")], edges=[{"source": "review", "target": "go"}])
    run = made.start()
    driver.drive(run.pk)
    Effect.before = lambda context: (
        decide_approval(**target(run), decision="approved", caller=caller) if context.node_id == "other" else None
    )
    made.drain()
    assert fresh(run).status == "completed"
    assert Effect.order == ["other", "go"]


def test_a_paused_run_takes_decisions(flow: MakeFlow, caller: Caller) -> None:
    made = flow(branching())
    run = made.run()
    pause_run(run_id=run.pk)
    made.drain()
    decide_approval(**target(run), decision="approved", caller=caller)
    made.drain()
    assert fresh(run).status == "paused"
    assert statuses(run) == {"review": "completed", "stop": "skipped", "late": "skipped"}
    resume_run(run_id=run.pk)
    made.drain()
    assert fresh(run).status == "completed"


def test_sensitive_names_in_a_form_stay(flow: MakeFlow) -> None:
    """Inputs are masked where they are stored; what is asked of people is not."""
    form = {"type": "object", "properties": {"token": {"type": "string", "title": "Token"}}}
    run = flow(nodes=[approval(form=form)]).run()
    assert step(run, "review").then["asks"]["form"] == form


# --- forced results -----------------------------------------------------------------------------------------------


def test_a_step_that_is_to_be_tried_again_can_be_overridden(flow: MakeFlow, caller: Caller) -> None:
    failing = {**effect("flaky", fail_times=9), "retry": {"max_attempts": 5, "initial_delay": "1h", "jitter": 0}}
    made = flow(chain(failing, effect("next", value="{{ steps.flaky.output.n }}")))
    run = made.run()
    assert statuses(run) == {"flaky": "retrying"}
    override_step(**target(run, "flaky"), output={"n": 7}, reason="by telephone", caller=caller)
    made.drain()
    assert fresh(run).status == "completed"
    assert step(run, "next").output == 7
    assert step(run, "flaky").error is None
    assert told(run, "flaky") == {
        "node_id": "flaky",
        "attempt": 1,
        "reason": "by telephone",
        "forced": True,
        "by": "ops key",
        "actor": "key:k",
    }
    assert fresh(run).steps_completed == 2


def test_a_pending_step_that_was_overridden_is_nobodys(flow: MakeFlow, caller: Caller) -> None:
    made = flow(nodes=[effect("a"), effect("b")])
    run = made.start()
    driver.drive(run.pk)
    override_step(**target(run, "a"), output=1, reason="known", caller=caller)
    worker.work(run.pk, "default")
    assert Effect.order == ["b"]
    made.drain()
    assert fresh(run).status == "completed"
    assert events(run, "a") == ["step.completed"]


def test_it_rejects_to_override_what_runs_or_has_ended(flow: MakeFlow, caller: Caller) -> None:
    made = flow(nodes=[effect("a")])
    run = made.start()

    def meanwhile(_: object) -> None:
        with pytest.raises(Conflict, match="running"):
            override_step(**target(run, "a"), output=1, reason="x", caller=caller)

    Effect.before = meanwhile
    made.drain()
    with pytest.raises(Conflict, match="completed"):
        override_step(**target(run, "a"), output=1, reason="x", caller=caller)
    assert step(run, "a").output is None


def test_a_forced_approval_takes_its_branch(flow: MakeFlow, caller: Caller) -> None:
    made = flow(branching())
    run = made.run()
    override_step(**target(run), output={"decision": "rejected"}, reason="law", caller=caller)
    made.drain()
    assert statuses(run)["stop"] == "completed"
