"""`map`: the same step, or a run, for every item of a list."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flowforge.core import clock
from flowforge.engine import driver, timers, worker
from flowforge.engine.items import lists
from flowforge.engine.store import items
from flowforge.engine.store import steps as step_store
from runs.models import Run, RunEvent, StepRun
from runs.services import cancel_run, pause_run, resume_run
from tests.engine.conftest import Flow, chain, effect, events, fresh
from tests.support.api import ApiClient
from tests.support.clock import FrozenClock
from tests.support.step_types import Effect

pytestmark = pytest.mark.django_db
MakeFlow = Callable[..., Flow]

DOUBLE = {"type": "effect", "config": {"value": "{{ item * 2 }}"}}
ODD_FAILS = {"type": "effect", "config": {"value": "{{ item }}", "fail_times": "{{ (item % 2) * 9 }}"}}


def mapping(items: Any, step: Any = DOUBLE, node_id: str = "each", **config: Any) -> dict[str, Any]:
    return {"id": node_id, "type": "map", "config": {"items": items, "step": step, **config}}


def items_of(run: Run) -> dict[int, str]:
    return dict(StepRun.objects.filter(run=run, index__gte=0).order_by("index").values_list("index", "status"))


def the_map(run: Run) -> StepRun:
    return StepRun.objects.get(run=run, node_id="each", index=-1)


def test_it_works(flow: MakeFlow) -> None:
    made = flow(chain(mapping("{{ inputs.numbers }}"), effect("after", value="{{ steps.each.output.results[-1] }}")))
    run = made.run(numbers=list(range(25)))
    assert run.status == "completed"
    assert the_map(run).output == {"results": [2 * n for n in range(25)], "errors": []}
    assert run.outputs == {"after": 48}
    assert items_of(run) == dict.fromkeys(range(25), "completed")
    assert Effect.seen[(str(run.pk), "each")] == 25
    assert (run.steps_total, run.steps_completed) == (2, 2)
    assert len(Effect.keys) == 26
    told = RunEvent.objects.filter(run=run, event="step.completed").order_by("seq").values_list("data", flat=True)
    assert sorted(data["index"] for data in told if "index" in data) == list(range(25))


@pytest.mark.parametrize(
    ("items", "code"), [("{{ inputs }}", "invalid_config"), ("{{ inputs.missing }}", "expression_undefined")]
)
def test_it_rejects_what_is_no_list(flow: MakeFlow, items: str, code: str) -> None:
    run = flow(nodes=[mapping(items)]).run(a=1)
    assert run.error["details"]["code"] == code


def test_an_empty_list_is_done_at_once(flow: MakeFlow) -> None:
    run = flow(nodes=[mapping([])]).run()
    assert run.outputs == {"each": {"results": [], "errors": []}}
    assert items_of(run) == {}


def test_pure_steps_need_no_worker(flow: MakeFlow) -> None:
    step = {"type": "transform", "config": {"values": {"at": "{{ index }}", "is": "{{ item }}"}}}
    made = flow(nodes=[mapping(["a", "b", "c"], step, max_concurrency=1)])
    run = made.start()
    driver.drive(run.pk)
    assert fresh(run).outputs["each"]["results"] == [{"at": n, "is": c} for n, c in enumerate("abc")]


def test_the_first_failure_ends_it(flow: MakeFlow) -> None:
    run = flow(nodes=[mapping([0, 2, 3, 4, 6, 8], ODD_FAILS, max_concurrency=1)]).run()
    assert run.status == "failed"
    cause = run.error["details"]
    assert (cause["code"], cause["details"]["index"], cause["details"]["error"]["code"]) == (
        *("item_failed", 2),
        "told_to",
    )
    assert items_of(run) == {0: "completed", 1: "completed", 2: "failed"}


def test_a_failure_cancels_what_lives(flow: MakeFlow) -> None:
    made = flow(nodes=[mapping([0, 1, 2, 4, 6, 8], ODD_FAILS, max_concurrency=4)])
    run = made.start()
    driver.drive(run.pk)
    for _ in range(2):  # one, which fails; the others have not begun
        worker.work(run.pk, "default")
    made.drain()
    assert fresh(run).status == "failed"
    assert {status for index, status in items_of(run).items() if index != 1} <= {"completed", "cancelled"}
    assert max(items_of(run)) <= 5


def test_with_continue_errors_are_collected(flow: MakeFlow) -> None:
    run = flow(nodes=[mapping([0, 1, 2, 3], ODD_FAILS, on_error="continue")]).run()
    assert run.status == "completed"
    output = the_map(run).output
    assert output["results"] == [0, None, 2, None]
    assert [(each["index"], each["error"]["code"]) for each in output["errors"]] == [(1, "told_to"), (3, "told_to")]


@pytest.mark.timeout(600)
@pytest.mark.django_db(transaction=True)  # in one transaction PostgreSQL could throw away no old row
def test_ten_thousand_items(flow: MakeFlow) -> None:
    """In order, within its own limit, with the errors of those that failed, and each done once."""
    step = {"type": "effect", "config": {"value": "{{ item }}", "fail_times": "{{ 9 if item % 100 == 99 else 0 }}"}}
    made = flow(nodes=[mapping("{{ inputs.n }}", step, on_error="continue", max_concurrency=200)])
    run = made.run(n=list(range(10_000)))
    assert run.status == "completed"
    output = the_map(run).output
    assert output["results"] == [None if n % 100 == 99 else n for n in range(10_000)]
    assert [each["index"] for each in output["errors"]] == list(range(99, 10_000, 100))
    assert Effect.seen[(str(run.pk), "each")] == 10_000
    assert RunEvent.objects.filter(run=run, event="step.started").count() == 10_001
    assert _most_at_once(run) <= 200


def _most_at_once(run: Run) -> int:
    """Items that ran at the same time, by the history."""
    running = most = 0
    for event, data in RunEvent.objects.filter(run=run).order_by("seq").values_list("event", "data"):
        if "index" in data:
            running += {"step.started": 1, "step.completed": -1, "step.failed": -1}.get(event, 0)
            most = max(most, running)
    return most


def test_items_are_retried(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    step = {"type": "effect", "config": {"value": 1, "fail_times": 1}, "retry": {"max_attempts": 2, "jitter": 0}}
    made = flow(nodes=[mapping([1, 2, 3], step)])
    run = made.run()
    assert set(items_of(run).values()) == {"retrying"}
    frozen_clock.advance(1)
    timers.run_once(clock.now())
    made.drain()
    run = fresh(run)
    assert (run.status, run.retries) == ("completed", 3)


def test_no_query_grows_with_what_has_ended(flow: MakeFlow) -> None:
    """Each that is asked again and again goes by an index that holds open items alone."""
    run = flow(nodes=[mapping([1])]).run()
    with CaptureQueriesContext(connection) as queries:
        step_store.load_steps(run.pk)
        step_store.load_live_items(run.pk)
        items.any_live(run.pk, "each")
        items.first_failure(run.pk, "each")
        step_store.ask_in_turn([step_store._occupancy(run.pk)])
    if connection.vendor == "sqlite":  # a planner with statistics has its own mind
        for query in queries:
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN QUERY PLAN " + query["sql"])
                plan = " ".join(str(row[-1]) for row in cursor.fetchall())
            assert "step_nodes" in plan or "step_items" in plan, plan
            assert "SCAN runs" not in plan, plan


def test_its_own_limit_holds(flow: MakeFlow) -> None:
    made = flow(nodes=[mapping(list(range(12)), max_concurrency=3)], config={"max_concurrency": 8})
    run = made.start()
    highest: list[int] = []

    def count(_: object) -> None:
        live = StepRun.objects.filter(run=run, index__gte=0, status__in=["pending", "running"]).count()
        highest.append(live)
        if len(highest) < 4:  # another worker comes meanwhile
            worker.work(run.pk, "default")

    Effect.before = count
    made.drain()
    assert fresh(run).status == "completed"
    assert max(highest) <= 3


@pytest.mark.parametrize("seed", range(4))
def test_hints_in_any_order_as_often_as_they_like(flow: MakeFlow, seed: int) -> None:
    made = flow(nodes=[mapping(list(range(30)), max_concurrency=4), effect("beside")])
    run = made.start()
    made.drain(shuffle=random.Random(seed), copies=2)
    assert fresh(run).outputs["each"]["results"] == [2 * n for n in range(30)]
    assert Effect.seen[(str(run.pk), "each")] == 30


def test_a_lost_worker_loses_no_item(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    made = flow(nodes=[mapping([1, 2, 3])])
    run = made.start()
    driver.drive(run.pk)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker.Batch, "go", lambda _: (_ for _ in ()).throw(KeyError))
        with pytest.raises(KeyError):
            worker.work(run.pk, "default")
    frozen_clock.advance(30)
    timers.run_once(clock.now())
    made.drain()
    assert fresh(run).outputs["each"]["results"] == [2, 4, 6]
    assert StepRun.objects.get(run=run, index=0).attempt == 1


def test_another_process_goes_on_without_the_list_at_hand(flow: MakeFlow) -> None:
    made = flow(nodes=[mapping([5, 6], max_concurrency=1)])
    run = made.start()
    driver.drive(run.pk)
    lists._lists.clear()
    made.drain()
    assert fresh(run).outputs["each"]["results"] == [10, 12]


def test_cancelling_ends_items(flow: MakeFlow) -> None:
    made = flow(nodes=[mapping([1, 2, 3], {"type": "delay", "config": {"duration": "1h"}}, max_concurrency=2)])
    run = made.run()
    assert run.status == "waiting"
    assert items_of(run) == {0: "waiting", 1: "waiting"}
    cancel_run(run_id=run.pk)
    made.drain()
    assert fresh(run).status == "cancelled"
    assert items_of(run) == {0: "cancelled", 1: "cancelled"}
    assert the_map(run).status == "cancelled"


def test_pausing_begins_no_item(flow: MakeFlow) -> None:
    made = flow(nodes=[mapping([1, 2, 3], max_concurrency=1)])
    run = made.start()
    Effect.before = lambda context: pause_run(run_id=run.pk) if context.index == 0 else None
    made.drain()
    assert items_of(run) == {0: "completed"}
    assert fresh(run).status == "paused"
    resume_run(run_id=run.pk)
    made.drain()
    assert fresh(run).outputs["each"]["results"] == [2, 4, 6]


def test_its_timeout_ends_all_of_it(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    each = mapping([1, 2], {"type": "delay", "config": {"duration": "1h"}})
    made = flow(nodes=[{**each, "timeout": "5m"}])
    run = made.run()
    frozen_clock.advance(300)
    timers.run_once(clock.now())
    made.drain()
    run = fresh(run)
    assert run.error["details"]["code"] == "timeout"
    assert items_of(run) == {0: "cancelled", 1: "cancelled"}


def test_waiting_items_end_by_themselves(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    made = flow(nodes=[mapping([60, 120], {"type": "delay", "config": {"duration": "{{ item }}"}})])
    run = made.run()
    for _ in range(2):
        frozen_clock.advance(60)
        timers.run_once(clock.now())
        made.drain()
    assert fresh(run).status == "completed"
    assert events(run).count("run.waiting") == 1


def test_results_that_are_too_large_fail_it(flow: MakeFlow) -> None:
    step = {"type": "effect", "config": {"value": "{{ 'x' * 600000 }}"}}
    made = flow(nodes=[mapping([1, 2], {**step, "config": {"value": "x" * 600_000}})])
    run = made.run()
    assert run.error["details"]["code"] == "invalid_output"
    assert StepRun.objects.get(run=run, index=1).output == "x" * 600_000


def test_a_list_that_is_too_large_fails_it(flow: MakeFlow) -> None:
    run = flow(nodes=[mapping("{{ inputs.items }}")]).run(items=["x" * 600_000] * 2)
    assert run.error["details"]["code"] == "too_large"


def test_over_workflows(flow: MakeFlow) -> None:
    child = flow(nodes=[effect("only", value="{{ inputs.n + 1 }}", fail_times="{{ (inputs.n == 2) * 1 }}")])
    config = {"items": [{"n": 1}, {"n": 2}, {"n": 3}], "workflow_id": str(child.workflow.pk), "on_error": "continue"}
    made = flow(nodes=[{"id": "each", "type": "map", "config": {**config, "max_concurrency": 2}}])
    run = made.start()
    driver.drive(run.pk)
    worker.work(run.pk, "default")
    assert Run.objects.filter(parent_run=run).count() == 2
    made.drain()
    output = fresh(run).outputs["each"]
    assert output["results"] == [{"only": 2}, None, {"only": 4}]
    assert [(each["index"], each["error"]["code"]) for each in output["errors"]] == [(1, "child_failed")]
    assert Run.objects.filter(parent_run=run).count() == 3


def test_children_of_items_are_cancelled_along(flow: MakeFlow) -> None:
    child = flow(nodes=[{"id": "wait", "type": "delay", "config": {"duration": "1h"}}])
    config = {"items": [1, 2], "workflow_id": str(child.workflow.pk), "inputs": {"n": "{{ item }}"}}
    made = flow(nodes=[{"id": "each", "type": "map", "config": config}])
    run = made.run()
    assert [found.inputs["n"] for found in Run.objects.filter(parent_run=run).order_by("created_at")] == [1, 2]
    cancel_run(run_id=run.pk)
    made.drain()
    assert set(Run.objects.filter(parent_run=run).values_list("status", flat=True)) == {"cancelled"}


def test_people_decide_item_by_item(flow: MakeFlow, client: ApiClient) -> None:
    made = flow(
        nodes=[mapping([1, 2], {"type": "approval", "config": {"title": "Item {{ item }}"}}, on_error="continue")]
    )
    run = made.run()
    assert run.status == "waiting"
    assert len(client.get("/v1/approvals").expect(200).data) == 2
    for index, action in enumerate(("approve", "reject")):
        waiting = StepRun.objects.get(run=run, index=index)
        client.post(f"/v1/runs/{run.pk}/steps/{waiting.pk}:{action}", {}).expect(202)
    made.drain()
    output = fresh(run).outputs["each"]
    assert [result and result["decision"] for result in output["results"]] == ["approved", None]
    assert output["errors"][0]["error"]["code"] == "approval_rejected"
