"""Groups of failures: counted by the commit that ends a run."""

from collections.abc import Callable
from typing import Any

import pytest

from flowforge.engine import driver
from flowforge.engine.store import writing
from runs.models import FailureGroup
from runs.services.failures import resolve_failure, retry_failure
from runs.services.intents import cancel_run
from runs.services.retrying import retry_run
from tests.engine.conftest import Flow, chain, effect, fresh
from tests.support.clock import FrozenClock
from tests.support.step_types import Effect

pytestmark = pytest.mark.django_db
MakeFlow = Callable[..., Flow]


def test_it_works(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    made = flow(chain(effect("a"), effect("b", raises="row {{ inputs.n }} of 'x' is bad")))
    first = made.run(n=1)
    began = frozen_clock.moment
    now = frozen_clock.advance(60)
    second = made.run(n=22)
    group = FailureGroup.objects.get()
    assert (group.workflow_id, group.project_id) == (made.workflow.pk, made.workflow.project_id)
    assert (group.node_id, group.code) == ("b", "step_error")
    assert group.message == "RuntimeError: row <n> of <text> is bad"
    assert (group.status, group.count, group.sample_run_id) == ("open", 2, second.pk)
    assert (group.first_seen_at, group.last_seen_at) == (began, now)
    assert {first.failure_id, second.failure_id} == {group.pk}


def test_other_failures_are_other_groups(flow: MakeFlow) -> None:
    flow(nodes=[effect("a", fail_times=1, code="one")]).run()
    made = flow(nodes=[effect("a", fail_times=1, code="one"), effect("b", fail_times=1, code="two")])
    made.run()
    assert FailureGroup.objects.count() == 2  # of the two steps that failed, a run's error names the first


def test_what_has_not_failed_has_no_group(flow: MakeFlow) -> None:
    flow(nodes=[effect("a")]).run()
    made = flow(nodes=[{"id": "wait", "type": "delay", "config": {"duration": "1h"}}])
    run = made.run()
    cancel_run(run_id=run.pk)
    made.drain()
    assert fresh(run).status == "cancelled"
    assert not FailureGroup.objects.exists()


def test_a_timeout_blames_no_step(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    made = flow(nodes=[{"id": "wait", "type": "delay", "config": {"duration": "1h"}}], config={"timeout": "1s"})
    run = made.run()
    frozen_clock.advance(2)
    driver.drive(run.pk)
    group = FailureGroup.objects.get()
    assert (group.node_id, group.code) == ("", "timeout")


def test_a_commit_that_fails_counts_nothing(flow: MakeFlow, monkeypatch: pytest.MonkeyPatch) -> None:
    made = flow(nodes=[effect("a", fail_times=9)])
    run = made.start()

    def die(*_: Any) -> None:
        raise RuntimeError("in the middle of the terminal commit")

    monkeypatch.setattr(writing, "count_failure", die)
    driver.drive(run.pk)
    assert fresh(run).status == "running"
    assert not FailureGroup.objects.exists()


def test_each_failure_of_a_run_counts_and_its_success_ends_that(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("a", fail_times=2)])
    run = made.run()
    for _ in range(2):
        retry_run(run_id=run.pk, caller_actor="test")
        made.drain()
    assert (fresh(run).status, fresh(run).failure_id) == ("completed", None)
    assert FailureGroup.objects.get().count == 2


def test_a_group_is_retried_as_far_as_its_runs_are_failed_still(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("a", fail_times=1)])
    runs = [made.run() for _ in range(3)]
    group = FailureGroup.objects.get()
    retry_run(run_id=runs[0].pk, caller_actor="test")
    made.drain()
    result = retry_failure(failure_id=group.pk, caller_actor="test")
    made.drain()
    assert (result.matched, result.done, result.skipped, result.has_more) == (2, 2, {}, False)
    assert {fresh(run).status for run in runs} == {"completed"}
    assert retry_failure(failure_id=group.pk, caller_actor="test").matched == 0
    assert all(count == 2 for count in Effect.seen.values())


def test_what_was_resolved_is_opened_by_the_next_failure(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("a", fail_times=1)])
    made.run()
    group = FailureGroup.objects.get()
    assert resolve_failure(failure_id=group.pk)
    assert not resolve_failure(failure_id=group.pk)
    group.refresh_from_db()
    assert group.status == "resolved"
    assert group.resolved_at is not None
    made.run()
    group.refresh_from_db()
    assert (group.status, group.resolved_at, group.count) == ("open", None, 2)


def test_counting_costs_one_statement(flow: MakeFlow, query_counter: Callable[[], Any]) -> None:
    made = flow(nodes=[effect("a", fail_times=1)])
    for _ in range(3):
        run = made.start()
        with query_counter() as queries:
            driver.drive(run.pk)
    assert sum("runs_failuregroup" in query["sql"] for query in queries) == 1
