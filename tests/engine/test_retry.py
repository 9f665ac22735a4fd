"""Retrying runs: the next attempt from what did not complete, whatever completed stays done."""

from collections.abc import Callable
from typing import Any

import pytest

from flowforge.core.errors import Conflict, NotFound
from flowforge.core.ids import new_id
from flowforge.engine import driver, worker
from flowforge.engine.store import steps as step_store
from flowforge.projects.models import Project
from runs.models import RunEvent
from runs.services.intents import cancel_run, pause_run
from runs.services.retrying import retry_run
from tests.engine.conftest import Flow, chain, effect, events, fresh, statuses, step
from tests.support.clock import FrozenClock
from tests.support.step_types import Effect

pytestmark = pytest.mark.django_db
MakeFlow = Callable[..., Flow]


def edge(source: str, target: str, **more: Any) -> dict[str, Any]:
    return {"source": source, "target": target, **more}


def retry(made: Flow, run: Any) -> Any:
    """Retry it and answer hints until there are none."""
    retry_run(run_id=run.pk, caller_actor="test")
    made.drain()
    return fresh(run)


def test_it_works(flow: MakeFlow) -> None:
    made = flow(chain(effect("a", value=1), effect("b", value=2, fail_times=1), effect("c", value=3)))
    run = made.run()
    assert (run.status, run.attempt, statuses(run)) == (
        *("failed", 1),
        {"a": "completed", "b": "failed", "c": "skipped"},
    )
    run = retry(made, run)
    assert (run.status, run.attempt, run.error, run.outputs) == ("completed", 2, None, {"c": 3})
    assert (run.steps_completed, run.steps_failed, run.steps_skipped) == (3, 0, 0)
    assert Effect.order == ["a", "b", "b", "c"]
    assert (run.lease_expires_at, run.wake_at) == (None, None)


def test_it_rejects_what_has_not_failed(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("only")])
    run = made.start()
    with pytest.raises(Conflict, match="pending"):
        retry_run(run_id=run.pk, caller_actor="test")
    made.drain()
    with pytest.raises(Conflict, match="completed"):
        retry_run(run_id=run.pk, caller_actor="test")
    with pytest.raises(NotFound):
        retry_run(run_id=new_id(), caller_actor="test")
    assert fresh(run).attempt == 1


def test_it_rejects_a_run_of_an_archived_project(flow: MakeFlow, project: Project) -> None:
    run = flow(nodes=[effect("bad", fail_times=1)]).run()
    Project.objects.filter(pk=project.pk).update(status=Project.Status.ARCHIVED)
    with pytest.raises(Conflict, match="archived"):
        retry_run(run_id=run.pk, caller_actor="test")


def test_history_goes_on(flow: MakeFlow) -> None:
    made = flow(chain(effect("a"), effect("b", fail_times=1)))
    run = retry(made, made.run())
    assert events(run) == [
        *("run.created", "run.started", "step.started", "step.completed", "step.started", "step.failed", "run.failed"),
        *("run.retried", "step.started", "step.completed", "run.completed"),
    ]
    rows = RunEvent.objects.filter(run_id=run.pk).order_by("seq")
    assert [row.seq for row in rows] == list(range(1, 12))
    assert rows[7].data == {"status": "running", "attempt": 2, "step_count": 1, "by": "test"}
    assert [row.data["attempt"] for row in rows if row.event == "step.started"] == [1, 1, 2]


def test_a_step_gets_as_many_attempts_again(flow: MakeFlow) -> None:
    node = {**effect("b", fail_times=5), "retry": {"max_attempts": 3, "initial_delay": 0, "jitter": 0}}
    made = flow(nodes=[node])
    run = made.run()
    assert (step(run, "b").attempt, run.retries) == (3, 2)
    run = retry(made, run)
    assert run.status == "completed"
    assert (step(run, "b").attempt, step(run, "b").max_attempts, run.retries) == (6, 6, 4)


def test_an_attempt_of_the_run_has_a_key_of_its_own(flow: MakeFlow) -> None:
    node = {**effect("b", fail_times=3), "retry": {"max_attempts": 2, "initial_delay": 0, "jitter": 0}}
    made = flow(nodes=[node])
    run = made.run()
    assert len(Effect.keys) == 1
    retry(made, run)
    assert len(Effect.keys) == 2


def test_a_cancelled_run_goes_on(flow: MakeFlow) -> None:
    made = flow(chain(effect("a"), {"id": "wait", "type": "delay", "config": {"duration": "1h"}}, effect("z")))
    run = made.run()
    cancel_run(run_id=run.pk)
    made.drain()
    assert statuses(run) == {"a": "completed", "wait": "cancelled", "z": "cancelled"}
    run = retry(made, run)
    assert (run.status, run.cancel_requested_at) == ("waiting", None)
    assert step(run, "wait").status == "waiting"
    assert (step(run, "z").status, step(run, "z").available_at) == ("pending", None)
    cancel_run(run_id=run.pk)
    made.drain()
    assert fresh(run).status == "cancelled"
    assert fresh(run).attempt == 2


def test_a_run_that_was_cancelled_before_it_began_begins(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("only")])
    run = made.start()
    cancel_run(run_id=run.pk)
    made.drain()
    assert fresh(run).started_at is None
    run = retry(made, run)
    assert run.status == "completed"
    assert run.started_at is not None
    assert Effect.order == ["only"]


def test_a_run_that_was_cancelled_while_paused_is_not_paused(flow: MakeFlow) -> None:
    made = flow(chain(effect("first"), effect("second")))
    run = made.start()
    Effect.before = lambda context: pause_run(run_id=run.pk) if context.node_id == "first" else None
    made.drain()
    cancel_run(run_id=run.pk)
    made.drain()
    assert retry(made, run).status == "completed"


def test_a_timeout_is_counted_anew(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    made = flow(
        chain(effect("a"), {"id": "wait", "type": "delay", "config": {"duration": "50s"}}), config={"timeout": "40s"}
    )
    run = made.run()
    frozen_clock.advance(41)
    driver.drive(run.pk)
    assert (fresh(run).status, fresh(run).error["code"]) == ("failed", "timeout")
    run = retry(made, run)
    assert run.status == "waiting"
    assert (run.deadline_at - frozen_clock.moment).total_seconds() == 40
    assert Effect.order == ["a"]


def test_parallel_steps_that_completed_are_not_done_again(flow: MakeFlow) -> None:
    nodes = [effect(f"s{n}", fail_times=n % 2) for n in range(6)]
    made = flow(nodes=[*nodes, effect("join")], edges=[edge(node["id"], "join") for node in nodes])
    run = made.run()
    assert run.status == "failed"
    assert step(run, "join").status == "completed"  # some of its edges fired
    run = retry(made, run)
    assert run.status == "completed"
    assert {node: count for (_, node), count in Effect.seen.items()} == {
        **{f"s{n}": 1 + n % 2 for n in range(6)},
        "join": 1,
    }


def test_a_failure_that_an_edge_has_taken_is_kept(flow: MakeFlow) -> None:
    made = flow(
        nodes=[effect("bad", fail_times=1), effect("rescue"), effect("other", fail_times=1), effect("never")],
        edges=[edge("bad", "rescue", on="failure"), edge("bad", "never")],
    )
    run = retry(made, made.run())
    assert run.status == "completed"
    assert statuses(run) == {"bad": "failed", "rescue": "completed", "other": "completed", "never": "skipped"}
    assert (run.steps_completed, run.steps_failed, run.steps_skipped) == (2, 1, 1)
    assert Effect.order.count("bad") == 1


def test_an_edges_expression_is_asked_again(flow: MakeFlow) -> None:
    """Whether a failure was taken is not recorded: the edge says so once more, of the same data."""
    made = flow(
        nodes=[effect("bad", fail_times=1), effect("rescue"), effect("worse", fail_times=1), effect("later")],
        edges=[
            edge("bad", "rescue", on="failure", when="{{ steps.bad.error.code == 'told_to' and inputs.n == 1 }}"),
            edge("worse", "later", on="failure", when="{{ steps.worse.error.code == 'unheard' }}"),
        ],
    )
    run = retry(made, made.run(n=1))
    assert run.status == "completed"
    assert statuses(run) == {"bad": "failed", "rescue": "completed", "worse": "completed", "later": "skipped"}


def test_what_was_skipped_for_reasons_of_its_own_stays_skipped(flow: MakeFlow) -> None:
    made = flow(
        nodes=[effect("a"), {**effect("no"), "when": "{{ false }}"}, effect("bad", fail_times=1)],
        edges=[edge("a", "no"), edge("a", "bad")],
    )
    run = retry(made, made.run())
    assert run.status == "completed"
    assert events(run, "no") == ["step.skipped"]


def test_it_can_fail_again(flow: MakeFlow) -> None:
    made = flow(chain(effect("a"), effect("b", fail_times=3)))
    run = retry(made, made.run())
    assert (run.status, run.attempt) == ("failed", 2)
    assert (run.steps_failed, run.steps_skipped) == (1, 0)
    assert retry(made, run).attempt == 3
    run = retry(made, run)
    assert (run.status, run.attempt) == ("completed", 4)
    assert Effect.order == ["a", *["b"] * 4]


def test_the_late_result_of_the_attempt_before_is_void(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("a"), effect("b")])
    run = made.start()
    driver.drive(run.pk)

    def meanwhile(context: Any) -> None:
        """The first worker is at it when the run is cancelled and retried, and another does the step."""
        if context.attempt == 1 and context.node_id == "a":
            cancel_run(run_id=run.pk)
            driver.drive(run.pk)
            retry_run(run_id=run.pk, caller_actor="test")
            driver.drive(run.pk)
            worker.work(run.pk, "default")

    Effect.before = meanwhile
    made.drain()
    run = fresh(run)
    assert (run.status, run.attempt) == ("completed", 2)
    assert events(run, "a") == ["step.started", "step.cancelled", "step.started", "step.completed"]


def test_steps_that_have_not_begun_anew_are_nobodys(flow: MakeFlow) -> None:
    made = flow(chain(effect("a", fail_times=1), effect("b")))
    run = made.run()
    retry_run(run_id=run.pk, caller_actor="test")
    worker.work(run.pk, "default")  # comes before the driver
    assert Effect.order == ["a"]
    assert not step_store.any_live(run.pk, None)
    made.drain()
    assert Effect.order == ["a", "a", "b"]


def test_a_map_goes_over_its_list_anew(flow: MakeFlow) -> None:
    inner = {"type": "effect", "config": {"value": "{{ item }}", "fail_times": "{{ 1 if item == 2 else 0 }}"}}
    made = flow(nodes=[{"id": "each", "type": "map", "config": {"items": "{{ [1, 2, 3] }}", "step": inner}}])
    run = made.run()
    assert run.status == "failed"
    Effect.reset()
    Effect.before = lambda context: context.config.__setitem__("fail_times", 0)
    retry_run(run_id=run.pk, caller_actor="test")
    made.drain()
    run = fresh(run)
    assert run.status == "completed"
    assert run.outputs["each"]["results"] == [1, 2, 3]
