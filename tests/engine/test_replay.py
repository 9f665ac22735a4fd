"""Replaying runs: new ones like them, from the beginning or from a node."""

from collections.abc import Callable
from typing import Any

import pytest

from flowforge.core.errors import Conflict, InvalidBody, NotFound
from flowforge.core.ids import new_id, step_id
from runs.models import RunEvent
from runs.services.intents import cancel_run
from runs.services.replaying import replay_run
from tests import factories
from tests.engine.conftest import Flow, chain, effect, events, fresh, statuses, step
from tests.support import invariants
from tests.support.step_types import Effect
from workflows.models import Workflow

pytestmark = pytest.mark.django_db
MakeFlow = Callable[..., Flow]


def replay(made: Flow, run: Any, **options: Any) -> Any:
    """Replay it and answer hints until there are none."""
    again = replay_run(run_id=run.pk, caller_actor="test", **options).run
    made.drain()
    return fresh(again)


def test_it_works(flow: MakeFlow) -> None:
    made = flow(chain(effect("a", value="{{ inputs.n }}"), effect("b")))
    run = made.start_with(inputs={"n": 1}, metadata={"customer": "acme"}, priority=7)
    made.drain()
    again = replay(made, run)
    assert again.pk != run.pk
    assert (again.status, again.replay_of_id, again.inputs) == ("completed", run.pk, {"n": 1})
    assert (again.trigger_type, again.trigger_id) == ("replay", str(run.pk))
    assert (again.metadata, again.priority) == ({"customer": "acme"}, 7)
    assert Effect.order == ["a", "b", "a", "b"]


def test_it_rejects_what_is_not_there(flow: MakeFlow) -> None:
    run = flow(nodes=[effect("only")]).run()
    with pytest.raises(InvalidBody) as no_node:
        replay_run(run_id=run.pk, caller_actor="test", from_node="nowhere")
    assert [fault.pointer for fault in no_node.value.faults] == ["/from_node"]
    with pytest.raises(InvalidBody) as no_version:
        replay_run(run_id=run.pk, caller_actor="test", version=9)
    assert [fault.pointer for fault in no_version.value.faults] == ["/version"]
    with pytest.raises(NotFound):
        replay_run(run_id=new_id(), caller_actor="test")


def test_it_rejects_inputs_that_do_not_fit(flow: MakeFlow) -> None:
    schema = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    run = flow(nodes=[effect("only")], input_schema=schema).run(n=1)
    with pytest.raises(InvalidBody) as wrong:
        replay_run(run_id=run.pk, caller_actor="test", inputs={"n": "x"})
    assert [fault.pointer for fault in wrong.value.faults] == ["/inputs/n"]


def test_it_rejects_a_workflow_that_takes_no_runs(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("only")])
    run = made.run()
    Workflow.objects.filter(pk=made.workflow.pk).update(status="paused")
    with pytest.raises(Conflict):
        replay_run(run_id=run.pk, caller_actor="test")


def test_inputs_can_be_edited(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("a", value="{{ inputs.n }}")])
    assert replay(made, made.run(n=1), inputs={"n": 2}).outputs == {"a": 2}


def test_from_a_node_what_comes_before_is_taken_over(flow: MakeFlow) -> None:
    made = flow(chain(effect("a", value="{{ inputs.n }}"), effect("b", value="{{ steps.a.output + 1 }}"), effect("c")))
    run = made.run(n=1)
    again = replay(made, run, from_node="b")
    assert again.status == "completed"
    assert Effect.order == ["a", "b", "c", "b", "c"]
    assert step(again, "b").output == 2
    taken = step(again, "a")
    assert (taken.id, taken.output, taken.attempt) == (step_id(again.pk, "a"), 1, 0)
    assert events(again)[:3] == ["run.created", "step.completed", "run.started"]
    told = RunEvent.objects.get(run_id=again.pk, seq=2)
    assert (told.step_id, told.data) == (taken.id, {"node_id": "a", "attempt": 0, "reason": "replayed"})
    assert again.steps_completed == 3
    assert invariants.violations([invariants.story_of(again)]) == []


def test_branches_that_were_taken_are_taken_over(flow: MakeFlow) -> None:
    made = flow(
        nodes=[
            {"id": "ask", "type": "condition", "config": {"expression": "{{ inputs.n > 1 }}"}},
            effect("yes"),
            effect("no"),
            effect("end"),
        ],
        edges=[
            {"source": "ask", "target": "yes", "when": "true"},
            {"source": "ask", "target": "no", "when": "false"},
            {"source": "yes", "target": "end"},
            {"source": "no", "target": "end"},
        ],
    )
    again = replay(made, made.run(n=5), from_node="end")
    assert statuses(again) == {"ask": "completed", "yes": "completed", "no": "skipped", "end": "completed"}
    assert step(again, "ask").branch == "true"
    assert Effect.order == ["yes", "end", "end"]


def test_what_did_not_complete_runs(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("ok"), effect("bad", fail_times=1), effect("last")], edges=[])
    run = made.run()
    Effect.before = lambda context: context.config.__setitem__("fail_times", 0)
    again = replay(made, run, from_node="last")
    assert again.status == "completed"
    assert sorted(Effect.order[3:]) == ["bad", "last"]


def test_another_version_takes_over_steps_of_the_same_kind(flow: MakeFlow) -> None:
    made = flow(chain(effect("a", value=1), effect("b", value=2), effect("c")))
    run = made.run()
    other = chain(effect("a", value=9), {"id": "b", "type": "transform", "config": {"values": {"n": 5}}}, effect("c"))
    factories.make_version(workflow=made.workflow, version=2, definition=other)
    again = replay(made, run, from_node="c", version=2)
    assert (again.workflow_version, again.status) == (2, "completed")
    assert step(again, "a").output == 1  # as recorded
    assert step(again, "b").output == {"n": 5}  # another type: a step of its own
    assert Effect.order == ["a", "b", "c", "c"]


def test_nothing_is_taken_over_by_a_replay_from_the_first_node(flow: MakeFlow) -> None:
    made = flow(chain(effect("a"), effect("b")))
    again = replay(made, made.run(), from_node="a")
    assert Effect.order == ["a", "b", "a", "b"]
    assert events(again)[:2] == ["run.created", "run.started"]


def test_a_replay_can_be_cancelled_before_it_begins(flow: MakeFlow) -> None:
    made = flow(chain(effect("a"), effect("b")))
    run = made.run()
    again = replay_run(run_id=run.pk, caller_actor="test", from_node="b").run
    cancel_run(run_id=again.pk)
    made.drain()
    assert statuses(again) == {"a": "completed", "b": "cancelled"}
    assert invariants.violations([invariants.story_of(fresh(again))]) == []


def test_a_replay_costs_as_many_statements_for_many_steps(flow: MakeFlow, query_counter: Callable[[], Any]) -> None:
    def count(length: int) -> int:
        made = flow(chain(*(effect(f"s{n}") for n in range(length))))
        run = made.run()
        replay_run(run_id=run.pk, caller_actor="test")  # what is read once
        with query_counter() as queries:
            replay_run(run_id=run.pk, caller_actor="test", from_node=f"s{length - 1}")
        made.bell.rings.clear()
        return len(queries)

    assert count(30) == count(3)
