"""Driving runs: from the first hint to the terminal commit."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from flowforge.core import json
from flowforge.engine import driver, execution
from flowforge.engine.store.rows import Commit
from flowforge.steps.base import Context
from runs.models import RunEvent
from tests.engine.conftest import Flow, chain, effect, events, fresh, statuses, step
from tests.support.step_types import Effect

pytestmark = pytest.mark.django_db
MakeFlow = Callable[..., Flow]


def transform(node_id: str, **values: Any) -> dict[str, Any]:
    return {"id": node_id, "type": "transform", "config": {"values": values}}


def test_it_works(flow: MakeFlow) -> None:
    made = flow(
        chain(transform("double", n="{{ inputs.n * 2 }}"), effect("keep", value="{{ steps.double.output.n }}")),
        output={"n": "{{ steps.keep.output }}"},
    )
    run = made.run(n=21)
    assert run.status == "completed"
    assert run.outputs == {"n": 42}
    assert statuses(run) == {"double": "completed", "keep": "completed"}
    assert (run.steps_total, run.steps_completed, run.steps_failed) == (2, 2, 0)
    assert run.started_at is not None
    assert run.finished_at >= run.started_at
    assert run.lease_expires_at is None
    assert run.wake_at is None


def test_it_tells_each_transition_once_and_in_order(flow: MakeFlow) -> None:
    run = flow(chain(transform("a"), effect("b"))).run()
    assert events(run) == [
        *("run.created", "run.started"),
        *("step.started", "step.completed", "step.started", "step.completed"),
        "run.completed",
    ]
    assert list(RunEvent.objects.filter(run_id=run.pk).values_list("seq", flat=True)) == list(range(1, 8))
    assert run.event_seq == 7


def test_without_an_output_the_run_gives_what_nothing_follows(flow: MakeFlow) -> None:
    made = flow(
        nodes=[effect("root"), effect("left", value=1), effect("right", value=2)],
        edges=[{"source": "root", "target": "left"}, {"source": "root", "target": "right"}],
    )
    assert made.run().outputs == {"left": 1, "right": 2}


def test_a_definition_without_nodes_completes(flow: MakeFlow) -> None:
    assert flow().run().status == "completed"


def test_a_chain_of_effects_needs_no_worker(flow: MakeFlow) -> None:
    made = flow(chain(*(effect(f"s{n}") for n in range(5))))
    run = made.start()
    driver.drive(run.pk)
    assert fresh(run).status == "completed"
    assert Effect.order == ["s0", "s1", "s2", "s3", "s4"]


def test_a_chain_costs_one_commit_a_step(flow: MakeFlow, query_counter: Callable[[], Any]) -> None:
    def statements(length: int) -> int:
        made = flow(chain(*(effect(f"s{n}") for n in range(length))))
        run = made.start()
        with query_counter() as queries:
            driver.drive(run.pk)
        return len(queries)

    statements(3)  # plans are read once
    per_step = (statements(30) - statements(10)) / 20
    assert per_step <= 6  # SAVEPOINT, update run, insert step, update step, insert events, RELEASE


def test_a_stretch_of_pure_steps_is_one_commit(flow: MakeFlow, monkeypatch: pytest.MonkeyPatch) -> None:
    commits: list[int] = []
    commit = driver.run_store.commit

    def counting(asked: Commit) -> Any:
        commits.append(len(asked.steps))
        return commit(asked)

    monkeypatch.setattr(driver.run_store, "commit", counting)
    made = flow(chain(*(transform(f"s{n}", n=n) for n in range(40))))
    assert made.run().status == "completed"
    assert commits == [40]


def test_parallel_steps_go_to_workers(flow: MakeFlow) -> None:
    nodes = [effect(f"s{n}", value=n) for n in range(20)]
    join = transform("sum", total="{{ steps.s0.output + steps.s19.output }}")
    made = flow(nodes=[*nodes, join], edges=[{"source": node["id"], "target": "sum"} for node in nodes])
    run = made.start()
    driver.drive(run.pk)
    assert statuses(run) == {node["id"]: "pending" for node in nodes}
    assert made.bell.worked
    made.drain()
    assert fresh(run).outputs == {"sum": {"total": 19}}
    assert len(Effect.order) == 20


@pytest.mark.parametrize("seed", range(5))
def test_doubled_and_shuffled_hints_change_nothing(flow: MakeFlow, seed: int) -> None:
    nodes = [effect("root"), *(effect(f"s{n}") for n in range(6)), effect("end")]
    edges = [{"source": "root", "target": f"s{n}"} for n in range(6)]
    edges += [{"source": f"s{n}", "target": "end"} for n in range(6)]
    made = flow(nodes=nodes, edges=edges)
    run = made.start()
    made.drain(shuffle=random.Random(seed), copies=3)
    assert fresh(run).status == "completed"
    assert all(count == 1 for count in Effect.seen.values())
    assert events(run).count("run.completed") == 1
    assert Effect.order[0] == "root"
    assert Effect.order[-1] == "end"


def test_a_failed_step_fails_the_run_and_skips_what_follows(flow: MakeFlow) -> None:
    run = flow(chain(effect("bad", fail_times=1), effect("after"))).run()
    assert run.status == "failed"
    assert run.error["code"] == "step_failed"
    assert run.error["step"] == "bad"
    assert run.error["details"]["code"] == "told_to"
    assert statuses(run) == {"bad": "failed", "after": "skipped"}
    assert (run.steps_failed, run.steps_skipped) == (1, 1)


def test_a_failure_that_an_edge_takes_is_handled(flow: MakeFlow) -> None:
    made = flow(
        nodes=[effect("bad", fail_times=1), effect("rescue", value="saved"), effect("never")],
        edges=[{"source": "bad", "target": "rescue", "on": "failure"}, {"source": "bad", "target": "never"}],
    )
    run = made.run()
    assert run.status == "completed"
    assert statuses(run) == {"bad": "failed", "rescue": "completed", "never": "skipped"}


def test_on_error_continue_goes_on_with_null(flow: MakeFlow) -> None:
    after = transform("after", got="{{ steps.bad.output }}", code="{{ steps.bad.error.code }}")
    run = flow(chain({**effect("bad", fail_times=1), "on_error": "continue"}, after)).run()
    assert run.status == "completed"
    assert run.outputs == {"after": {"got": None, "code": "told_to"}}


def test_branches_take_their_edges(flow: MakeFlow) -> None:
    made = flow(
        nodes=[
            {"id": "big", "type": "condition", "config": {"expression": "{{ inputs.n > 10 }}"}},
            effect("yes"),
            effect("no"),
            effect("merge"),
        ],
        edges=[
            {"source": "big", "target": "yes", "when": "true"},
            {"source": "big", "target": "no", "when": "false"},
            {"source": "yes", "target": "merge"},
            {"source": "no", "target": "merge"},
        ],
    )
    run = made.run(n=11)
    assert statuses(run) == {"big": "completed", "yes": "completed", "no": "skipped", "merge": "completed"}
    assert step(run, "big").branch == "true"


def test_an_edge_can_hold_an_expression(flow: MakeFlow) -> None:
    made = flow(
        nodes=[effect("ask", value={"n": 3}), effect("odd"), effect("even")],
        edges=[
            {"source": "ask", "target": "odd", "when": "{{ steps.ask.output.n % 2 == 1 }}"},
            {"source": "ask", "target": "even", "when": "{{ steps.ask.output.n % 2 == 0 }}"},
        ],
    )
    assert statuses(made.run()) == {"ask": "completed", "odd": "completed", "even": "skipped"}


def test_an_expression_that_fails_fails_its_step(flow: MakeFlow) -> None:
    run = flow(nodes=[transform("bad", n="{{ inputs.missing + 1 }}")]).run()
    assert run.status == "failed"
    assert step(run, "bad").error["code"] == "expression_undefined"


def test_an_output_that_cannot_be_rendered_fails_the_run(flow: MakeFlow) -> None:
    run = flow(nodes=[effect("only", value=1)], output={"n": "{{ steps.only.output.nothing.here }}"}).run()
    assert run.status == "failed"
    assert run.error["code"] == "invalid_output"


def test_when_false_skips_a_step(flow: MakeFlow) -> None:
    run = flow(chain({**effect("maybe"), "when": "{{ inputs.on }}"}, effect("after"))).run(on=False)
    assert statuses(run) == {"maybe": "skipped", "after": "skipped"}
    assert run.status == "completed"


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), Unprintable(), RuntimeError("\0" * 9)])
def test_whatever_a_step_raises_is_a_failed_attempt(flow: MakeFlow, error: BaseException) -> None:
    def harm(_: Context) -> None:
        raise error

    made = flow(nodes=[effect("bad")])
    Effect.before = harm
    run = made.run()
    assert run.status == "failed"
    assert run.error is not None
    assert run.error["details"]["code"] == "step_error"


def test_what_a_step_raises_is_a_failed_attempt(flow: MakeFlow) -> None:
    run = flow(nodes=[effect("bad", raises="oops")]).run()
    assert step(run, "bad").error["code"] == "step_error"
    assert "oops" in step(run, "bad").error["message"]


def test_what_no_database_holds_is_replaced(flow: MakeFlow) -> None:
    Effect.before = lambda context: context.config.__setitem__("value", {"text": "a\x00b", "n": float("nan")})
    run = flow(nodes=[effect("odd")]).run()
    assert step(run, "odd").sanitized is True
    assert step(run, "odd").output == {"text": "a�b", "n": None}


def test_an_output_that_is_too_large_fails(flow: MakeFlow) -> None:
    Effect.before = lambda context: context.config.__setitem__("value", "x" * 1_100_000)
    run = flow(nodes=[effect("huge")]).run()
    assert step(run, "huge").error["code"] == "invalid_output"


def test_logs_are_events_of_their_step(flow: MakeFlow) -> None:
    run = flow(nodes=[effect("chatty", log=["one", "two"])]).run()
    lines = RunEvent.objects.filter(run_id=run.pk, event="step.log", step_id=step(run, "chatty").id)
    assert [row.data["message"] for row in lines.order_by("seq")] == ["one", "two"]
    assert events(run)[-2:] == ["step.completed", "run.completed"]


def test_the_idempotency_key_is_the_same_for_every_attempt(flow: MakeFlow) -> None:
    made = flow(
        nodes=[{**effect("again", fail_times=2), "retry": {"max_attempts": 3, "initial_delay": 0, "jitter": 0}}]
    )
    run = made.run()
    assert run.status == "completed"
    assert run.retries == 2
    assert step(run, "again").attempt == 3
    assert len(Effect.keys) == 1


def test_a_driver_that_fails_gives_the_run_back(flow: MakeFlow, monkeypatch: pytest.MonkeyPatch) -> None:
    made = flow(nodes=[effect("only")])
    run = made.start()
    monkeypatch.setattr(driver.Drive, "_decide_stretch", lambda self: 1 / 0)
    driver.drive(run.pk)
    assert fresh(run).lease_expires_at is None
    assert fresh(run).wake_at is not None
    monkeypatch.undo()


def test_a_run_of_another_holder_is_poked(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("only")])
    run = made.start()
    poked: list[int] = []

    def hint_again(_: object) -> None:
        driver.drive(run.pk)  # comes while the first drive holds the lease
        poked.append(fresh(run).pokes)

    Effect.before = hint_again
    driver.drive(run.pk)
    assert poked == [1]
    assert fresh(run).status == "completed"
    assert Effect.seen == {(str(run.pk), "only"): 1}


def test_secrets_of_the_config_are_in_no_log(flow: MakeFlow) -> None:
    def tell(context: Any) -> None:
        context.log("info", "sent tok=sup3rsecret to the other side")
        raise RuntimeError("refused: sup3rsecret")

    Effect.before = tell
    made = flow(nodes=[effect("leaky", value={"api_token": "sup3rsecret"})])
    run = made.run()
    stored = json.text(list(RunEvent.objects.filter(run_id=run.pk).values_list("data", flat=True)))
    assert "tok=*** to" in stored
    assert "sup3rsecret" not in stored
    assert "sup3rsecret" not in json.text([step(run, "leaky").inputs, step(run, "leaky").error])


@pytest.mark.parametrize("odd", ["a\x00b", "a\ud800b"], ids=["NUL", "surrogate"])
def test_nothing_that_a_step_says_can_stop_a_commit(flow: MakeFlow, odd: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution.log, "info", lambda *_, **__: None)  # pytest could not print it

    def tell(context: Any) -> None:
        context.log("info", odd)
        raise RuntimeError(odd)

    Effect.before = tell
    run = flow(nodes=[effect("odd")]).run()
    assert run.status == "failed"
    assert "a\ufffdb" in step(run, "odd").error["message"]


def test_a_long_value_as_a_branch_is_cut(flow: MakeFlow) -> None:
    switch = {"id": "long", "type": "switch", "config": {"expression": "{{ inputs.text }}"}}
    run = flow(nodes=[switch]).run(text="x" * 500)
    assert run.status == "completed"
    assert step(run, "long").branch == "x" * 200


def test_the_server_plans_a_commit_once_and_not_each_time(flow: MakeFlow) -> None:
    """Planning costs as much as the commit itself."""
    if connection.vendor != "postgresql":
        pytest.skip("PostgreSQL's: SQLite keeps its statements by itself")
    flow(chain(*(effect(name) for name in "abcdef"))).run()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'WITH run AS%'")
        (prepared,) = cursor.fetchone()
    assert prepared > 0
