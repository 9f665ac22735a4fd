"""`llm` steps in the engine: workflows as tools, waited for without a thread, and what a run has cost."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from flowforge.core import clock
from flowforge.engine import driver, execution, timers
from flowforge.projects.models import Project
from runs.models import Run
from runs.services import cancel_run
from tests import factories
from tests.engine.conftest import Flow, chain, effect, events, fresh, step
from tests.support.llm_server import LlmServer

pytestmark = pytest.mark.django_db
MakeFlow = Callable[..., Flow]
LATER = {"id": "wait", "type": "delay", "config": {"duration": "1h"}}


@pytest.fixture(autouse=True)
def _operator(settings: Any) -> Iterator[None]:
    settings.ALLOW_PRIVATE_TARGETS = ["127.0.0.0/8"]
    settings.LLM_PRICES = {"m": (1.0, 10.0)}
    execution.step_settings.cache_clear()
    yield
    execution.step_settings.cache_clear()


def asking(server: LlmServer, *tools: Any, **fields: Any) -> dict[str, Any]:
    config: dict[str, Any] = {"provider": "openai", "base_url": server.url, "model": "m", "prompt": "How many?"}
    if tools:
        config["tools"] = [{"workflow_id": str(tool.pk)} for tool in tools]
    return {"id": "ask", "type": "llm", "config": config | fields.pop("config", {}), **fields}


def children(run: Run) -> list[Run]:
    return list(Run.objects.filter(parent_run=run).order_by("created_at"))


@pytest.fixture
def double(flow: MakeFlow) -> Flow:
    """A workflow that a model may call."""
    schema = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    nodes = [effect("double", value="{{ inputs.n * 2 }}")]
    return flow(nodes=nodes, input_schema=schema, output={"n": "{{ steps.double.output }}"})


def named(made: Flow, name: str) -> Flow:
    made.workflow.name = name
    made.workflow.save(update_fields=["name"])
    return made


def test_it_works(flow: MakeFlow, double: Flow, llm_server: LlmServer) -> None:
    named(double, "Double a number")
    llm_server.calls(("Double_a_number", '{"n": 21}'), ("Double_a_number", '{"n": 4}'))
    llm_server.says("42 and 8")
    run = flow(chain(asking(llm_server, double.workflow), effect("after", value="{{ steps.ask.output.text }}"))).run()
    assert run.status == "completed", run.error
    assert run.outputs == {"after": "42 and 8"}
    assert [child.inputs for child in children(run)] == [{"n": 21}, {"n": 4}]
    assert [child.status for child in children(run)] == ["completed", "completed"]
    asked = step(run, "ask")
    assert (asked.attempt, asked.output["usage"]["tool_calls"], asked.output["usage"]["requests"]) == (1, 2, 2)
    assert run.llm_cost == pytest.approx(2 * (100 + 10 * 10) / 1e6)
    assert run.retries == 0
    results = [said for said in llm_server.asked[1].body["messages"] if said["role"] == "tool"]
    assert [said["content"] for said in results] == ['{"n":42}', '{"n":8}']
    (tool,) = llm_server.asked[0].body["tools"]
    assert tool["function"]["parameters"]["required"] == ["n"]


def test_it_rejects_a_workflow_that_is_not_on_the_list(flow: MakeFlow, double: Flow, llm_server: LlmServer) -> None:
    other = named(flow(nodes=[effect("only")]), "Other")
    for name in ("Other", str(other.workflow.pk), "../other", "{{ inputs }}"):
        llm_server.calls((name, "{}"))
    llm_server.says("sorry")
    run = flow(nodes=[asking(llm_server, double.workflow)]).run()
    assert (run.status, children(run)) == ("completed", [])
    assert "There is no such tool." in llm_server.asked[-1].said


def test_it_rejects_a_workflow_of_another_project(
    flow: MakeFlow, llm_server: LlmServer, other_project: Project
) -> None:
    foreign = factories.make_workflow(project=other_project)
    run = flow(nodes=[asking(llm_server, foreign)]).run()
    assert run.error["details"]["code"] == "unknown_workflow"
    assert llm_server.asked == []


@pytest.mark.parametrize(
    "arguments", ["{", "[]", '{"n": "x"}', '{"n": ' + "9" * 40 + "}", "[" * 500, '{"n": "\\u0000"}', "x" * 70_000]
)
def test_arguments_that_do_not_fit_are_told(
    flow: MakeFlow, double: Flow, llm_server: LlmServer, arguments: str
) -> None:
    named(double, "Double")
    llm_server.calls(("Double", arguments))
    llm_server.says("sorry")
    run = flow(nodes=[asking(llm_server, double.workflow)]).run()
    assert (run.status, children(run)) == ("completed", [])
    assert llm_server.asked[1].body["messages"][-1]["content"].startswith('{"error"')


def test_a_tool_that_fails_is_told(flow: MakeFlow, llm_server: LlmServer) -> None:
    broken = named(flow(nodes=[effect("breaks", fail_times=1)]), "Broken")
    llm_server.calls(("Broken", "{}"))
    llm_server.says("It is broken")
    run = flow(nodes=[asking(llm_server, broken.workflow)]).run()
    assert run.outputs["ask"]["text"] == "It is broken"
    assert "The run failed" in llm_server.asked[1].said


def test_a_model_that_never_stops_calling_is_stopped(flow: MakeFlow, double: Flow, llm_server: LlmServer) -> None:
    named(double, "Double")
    for _ in range(20):
        llm_server.calls(("Double", '{"n": 1}'))
    run = flow(nodes=[asking(llm_server, double.workflow)]).run()
    assert run.error["details"]["code"] == "too_many_tool_calls"
    assert (len(children(run)), len(llm_server.asked)) == (10, 11)
    assert run.llm_cost == pytest.approx(11 * 200 / 1e6)


def test_waiting_holds_nothing(flow: MakeFlow, llm_server: LlmServer, frozen_clock: Any) -> None:
    slow = named(flow(nodes=[LATER]), "Slow")
    llm_server.calls(("Slow", "{}"))
    made = flow(nodes=[asking(llm_server, slow.workflow, timeout="2h")])
    run = made.run()
    waits = step(run, "ask")
    assert (run.lease_expires_at, waits.status, waits.lease_expires_at) == (None, "retrying", None)
    assert waits.waits_for == f"run:{children(run)[0].pk}"
    frozen_clock.advance(3600)
    timers.run_once(clock.now())
    made.drain()
    assert fresh(run).status == "completed"


def test_the_end_of_a_tool_is_heard_without_its_hint(flow: MakeFlow, double: Flow, llm_server: LlmServer) -> None:
    named(double, "Double")
    llm_server.calls(("Double", '{"n": 1}'))
    made = flow(nodes=[asking(llm_server, double.workflow)])
    run = made.start()
    driver.drive(run.pk)
    (child,) = children(run)
    driver.drive(child.pk)
    made.bell.rings.clear()
    timers.run_once(clock.now())
    made.drain()
    assert fresh(run).status == "completed"


def test_a_tool_that_does_not_end_in_time_ends_with_its_step(
    flow: MakeFlow, llm_server: LlmServer, frozen_clock: Any
) -> None:
    slow = named(flow(nodes=[LATER]), "Slow")
    llm_server.calls(("Slow", "{}"))
    made = flow(nodes=[asking(llm_server, slow.workflow, timeout="10m")])
    run = made.run()
    frozen_clock.advance(600)
    timers.run_once(clock.now())
    made.drain()
    assert fresh(run).error["details"]["code"] == "timeout"
    assert fresh(children(run)[0]).status == "cancelled"


def test_a_cancelled_run_takes_its_tools_along(flow: MakeFlow, llm_server: LlmServer) -> None:
    slow = named(flow(nodes=[LATER]), "Slow")
    llm_server.calls(("Slow", "{}"))
    made = flow(nodes=[asking(llm_server, slow.workflow)])
    run = made.run()
    cancel_run(run_id=run.pk)
    made.drain()
    assert (fresh(run).status, fresh(children(run)[0]).status) == ("cancelled", "cancelled")


def test_a_failed_attempt_asks_no_question_twice(flow: MakeFlow, double: Flow, llm_server: LlmServer) -> None:
    named(double, "Double")
    llm_server.calls(("Double", '{"n": 1}'))
    llm_server.refuses(503)
    llm_server.says("2")
    retry = {"max_attempts": 2, "initial_delay": 0}
    run = flow(nodes=[asking(llm_server, double.workflow, retry=retry)]).run()
    assert run.status == "completed", run.error
    assert (len(children(run)), len(llm_server.asked), run.retries, step(run, "ask").attempt) == (1, 3, 1, 2)


def test_a_worker_lost_in_between_starts_nothing_twice(
    flow: MakeFlow, double: Flow, llm_server: LlmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies after the run was started, before anybody knows: the next one finds that run."""
    named(double, "Double")
    llm_server.calls(("Double", '{"n": 1}'))
    llm_server.says("2")
    started = execution.relatives.start_for_step
    run_ids: list[str] = []

    def twice(*args: Any) -> str:
        run_ids.extend([started(*args), started(*args)])
        return run_ids[-1]

    monkeypatch.setattr(execution.relatives, "start_for_step", twice)
    run = flow(nodes=[asking(llm_server, double.workflow)]).run()
    assert (run.status, len(children(run)), len(set(run_ids))) == ("completed", 1, 1)


def test_beside_other_steps_workers_do_it(flow: MakeFlow, double: Flow, llm_server: LlmServer) -> None:
    named(double, "Double")
    llm_server.calls(("Double", '{"n": 1}'))
    llm_server.says("2")
    run = flow(nodes=[asking(llm_server, double.workflow), effect("beside")]).run()
    assert (run.status, run.outputs["ask"]["text"]) == ("completed", "2")
    assert events(run, "ask").count("step.completed") == 1


def test_a_reply_is_never_rendered(flow: MakeFlow, llm_server: LlmServer) -> None:
    hostile = "{{ 7 * 7 }} {{ inputs.secret }}"
    llm_server.says(hostile)
    after = {"id": "after", "type": "transform", "config": {"values": {"text": "{{ steps.ask.output.text }}"}}}
    run = flow(chain(asking(llm_server), after)).run(secret="hush-hush")
    assert run.outputs == {"after": {"text": hostile}}


def test_the_answer_of_a_map_of_questions(flow: MakeFlow, double: Flow, llm_server: LlmServer) -> None:
    named(double, "Double")
    llm_server.calls(("Double", '{"n": 1}'))
    ask = asking(llm_server, double.workflow)
    each = {"type": "llm", "config": ask["config"]}
    run = flow(nodes=[{"id": "all", "type": "map", "config": {"items": [1, 2], "step": each}}]).run()
    assert run.status == "completed", run.error
    assert len(children(run)) == 1
