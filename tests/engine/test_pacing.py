"""When runs begin: paced, debounced, or not at all."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from flowforge.core import clock
from flowforge.core.errors import InvalidBody
from flowforge.engine import driver, timers
from flowforge.engine.store.admission import forget_paces
from runs.models import DebounceKey, FailureGroup, RatePace, Run
from runs.services import Origin, Started, StartItem, cancel_run, pause_run, retry_run, start_run, start_runs
from runs.services.debounce import purge
from runs.services.ordering import run_now
from tests.engine.conftest import Flow, chain, effect, events, fresh, step
from tests.support import invariants
from tests.support.clock import FrozenClock

pytestmark = pytest.mark.django_db
MakeFlow = Callable[..., Flow]

WAIT = {"id": "wait", "type": "wait_event", "config": {"event": "go"}}


def begun(*runs: Run) -> list[bool]:
    return [fresh(run).started_at is not None for run in runs]


def tick(made: Flow, frozen_clock: FrozenClock, seconds: float) -> None:
    """Let time pass, then sweep and answer what is hinted."""
    frozen_clock.advance(seconds)
    timers.run_once(clock.now())
    made.drain()


# --- rate_limit ---------------------------------------------------------------------------------------------------


def test_it_works(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    """As many at once as the limit says, then one each interval; a key of its own has a pace of its own."""
    made = flow(nodes=[WAIT], config={"rate_limit": {"key": "{{ inputs.account }}", "limit": "3/m"}})
    runs = [made.start(account="a") for _ in range(5)]
    other = made.start(account="b")
    made.drain()
    assert begun(*runs, other) == [True] * 3 + [False] * 2 + [True]
    assert fresh(runs[3]).status_reason == "waiting_until"
    assert fresh(runs[3]).wake_at == clock.now() + timedelta(seconds=20)
    assert fresh(runs[4]).wake_at is None  # it is not its turn
    tick(made, frozen_clock, 19.9)
    assert begun(*runs) == [True] * 3 + [False] * 2
    tick(made, frozen_clock, 0.1)
    assert begun(*runs) == [True] * 4 + [False]
    assert fresh(runs[4]).wake_at == clock.now() + timedelta(seconds=20)
    tick(made, frozen_clock, 20)
    assert begun(*runs) == [True] * 5


def test_who_is_first_may_leave_and_the_next_is_on_time(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    made = flow(nodes=[WAIT], config={"rate_limit": {"limit": "1/m"}})
    _, second, third = (made.start() for _ in range(3))
    made.drain()
    cancel_run(run_id=second.pk)
    made.drain()
    assert fresh(third).wake_at == clock.now() + timedelta(seconds=60)
    tick(made, frozen_clock, 60)
    assert begun(third) == [True]


def test_a_retry_uses_up_nothing_of_the_pace(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    made = flow(nodes=[effect("a", fail_times=1)], config={"rate_limit": {"limit": "1/m"}})
    run = made.run()
    assert run.status == "failed"
    retry_run(run_id=run.pk, caller_actor="test")
    made.drain()
    assert fresh(run).status == "completed"


def test_idle_paces_are_forgotten(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    flow(nodes=[WAIT], config={"rate_limit": {"limit": "1/m"}}).run()
    assert RatePace.objects.count() == 1
    assert forget_paces(now=clock.now(), limit=10) == 0
    assert forget_paces(now=frozen_clock.advance(121), limit=10) == 1


# --- debounce -----------------------------------------------------------------------------------------------------

DEBOUNCE = {"debounce": {"key": "{{ inputs.id }}", "delay": "30s"}}


def ask(made: Flow, **inputs: Any) -> Started:
    return start_run(workflow=made.workflow, inputs=inputs, caller_actor="test")


def test_several_calls_become_one_run(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    made = flow(nodes=[effect("a")], config=DEBOUNCE)
    first = ask(made, id="x", n=1)
    frozen_clock.advance(20)
    second, other = ask(made, id="x", n=2), ask(made, id="y", n=9)
    assert second.run == first.run
    assert (first.joined, first.created, second.joined, second.created) == (True, True, True, False)
    assert other.run != first.run
    tick(made, frozen_clock, 29)
    assert begun(first.run) == [False]
    tick(made, frozen_clock, 1)
    run = fresh(first.run)
    assert (run.status, run.inputs) == ("completed", {"id": "x", "n": 2})
    assert events(run)[:2] == ["run.created", "run.started"]
    assert ask(made, id="x", n=3).run != first.run  # it has begun


def test_items_of_a_batch_join_too(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("a")], config=DEBOUNCE)
    items = [StartItem(inputs={"id": key, "n": n}) for n, key in enumerate("xyx")]
    answers = start_runs(workflow=made.workflow, items=items, origin=Origin(actor="test"))
    runs = [answer.run for answer in answers if isinstance(answer, Started)]
    assert runs[0] == runs[2] != runs[1]
    assert fresh(runs[0]).inputs == {"id": "x", "n": 2}
    assert Run.objects.count() == 2


def test_a_dedupe_key_stands_for_the_run_that_was_joined(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("a")], config=DEBOUNCE)
    asked = {"workflow": made.workflow, "inputs": {"id": "x"}, "caller_actor": "test"}
    first = start_run(**asked)
    assert start_run(**asked, dedupe_key="k").run == first.run
    again = start_run(**asked, dedupe_key="k")
    assert (again.run, again.created, again.joined) == (first.run, False, False)


@pytest.mark.parametrize("steer", [cancel_run, pause_run])
def test_what_was_stopped_is_not_joined(flow: MakeFlow, steer: Callable[..., None]) -> None:
    made = flow(nodes=[effect("a")], config=DEBOUNCE)
    first = ask(made, id="x")
    steer(run_id=first.run.pk)
    assert ask(made, id="x").run != first.run


def test_a_run_of_a_run_is_its_own(flow: MakeFlow) -> None:
    child = flow(nodes=[effect("a")], config=DEBOUNCE)
    waiting = ask(child, id="x")
    asks = {"workflow_id": str(child.workflow.pk), "inputs": {"id": "x"}}
    parent = flow(nodes=[{"id": "child", "type": "workflow", "config": asks}]).run()
    assert parent.status == "completed"
    assert begun(waiting.run) == [False]


def test_old_keys_are_forgotten(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    ask(flow(nodes=[], config=DEBOUNCE), id="x")
    assert purge(now=clock.now(), limit=10) == 0
    assert purge(now=frozen_clock.advance(8 * 86_400), limit=10) == 1
    assert not DebounceKey.objects.exists()


def test_it_rejects_a_key_that_cannot_be_evaluated(flow: MakeFlow) -> None:
    made = flow(nodes=[], config={"debounce": {"key": "{{ 1 / inputs.n }}", "delay": "1s"}})
    with pytest.raises(InvalidBody, match="key of debounce"):
        ask(made, n=0)


# --- expires_in ---------------------------------------------------------------------------------------------------


def test_a_run_that_has_not_begun_in_time_fails(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    other = flow(nodes=[effect("told")])
    config = {"concurrency": {}, "expires_in": "1h", "on_failure": {"workflow_id": str(other.workflow.pk)}}
    made = flow(nodes=[WAIT], config=config)
    holder, late = made.start(), made.start()
    made.drain()
    assert fresh(late).wake_at == fresh(late).expires_at == late.created_at + timedelta(hours=1)
    tick(made, frozen_clock, 3599)
    assert fresh(late).status == "pending"
    tick(made, frozen_clock, 1)
    late = fresh(late)
    assert (late.status, late.error["code"], late.started_at) == ("failed", "expired", None)
    assert FailureGroup.objects.get().code == "expired"
    assert Run.objects.get(workflow=other.workflow).inputs["run_id"] == str(late.pk)
    assert fresh(holder).status == "waiting"  # it has begun: that is enough
    assert invariants.violations([invariants.story_of(late)]) == []


def test_its_parent_is_told(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    child = flow(nodes=[WAIT], config={"concurrency": {}, "expires_in": "1h"})
    child.start()
    child.drain()
    asks = {"id": "child", "type": "workflow", "config": {"workflow_id": str(child.workflow.pk)}}
    parent = flow(chain(asks, effect("after"))).run()
    assert parent.status == "waiting"
    tick(child, frozen_clock, 3600)
    assert fresh(parent).status == "failed"
    assert step(parent, "child").error["details"]["error"]["code"] == "expired"


# --- run_now ------------------------------------------------------------------------------------------------------


def test_run_now_goes_to_the_front_and_breaks_no_limit(flow: MakeFlow) -> None:
    made = flow(nodes=[WAIT], config={"concurrency": {}})
    holder, one, two = made.run(), made.start_with(priority=7), made.start()
    made.drain()
    run_now(run_id=two.pk)
    made.drain()
    assert (fresh(two).status, fresh(two).priority) == ("pending", 8)
    cancel_run(run_id=holder.pk)
    made.drain()
    assert begun(one, two) == [False, True]


def test_run_now_ends_a_debounce(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("a")], config=DEBOUNCE)
    run = ask(made, id="x").run
    run_now(run_id=run.pk)
    driver.drive(run.pk)
    made.drain()
    assert fresh(run).status == "completed"
