"""`node.cache`: an output that is taken again instead of running the step."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError

from flowforge.core import clock
from flowforge.engine import housekeeping
from runs.models import CachedOutput, Run, RunEvent
from tests.engine.conftest import Flow, chain, effect, fresh, step
from tests.support.clock import FrozenClock
from tests.support.step_types import Effect

pytestmark = pytest.mark.django_db
MakeFlow = Callable[..., Flow]


def cached(key: str = "{{ inputs.day }}", **config: Any) -> dict[str, Any]:
    return {**effect("costly", **config), "cache": {"key": key, "ttl": "1h"}}


def times_done() -> int:
    return sum(count for (_, node), count in Effect.seen.items() if node == "costly")


def reason(run: Run) -> str | None:
    event = RunEvent.objects.get(run=run, event="step.completed", data__node_id="costly")
    found: str | None = event.data.get("reason")
    return found


def test_it_works(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    made = flow(nodes=[cached(value="{{ run.id }}")])
    first, second, other = made.run(day="monday"), made.run(day="monday"), made.run(day="tuesday")
    assert step(second, "costly").output == step(first, "costly").output == str(first.pk)
    assert step(other, "costly").output == str(other.pk)
    assert times_done() == 2
    assert (reason(first), reason(second), reason(other)) == (None, "cached", None)
    assert (second.status, step(second, "costly").attempt) == ("completed", 1)
    frozen_clock.advance(3600)
    assert step(made.run(day="monday"), "costly").output != str(first.pk)


def test_it_rejects_a_key_that_cannot_be_rendered(flow: MakeFlow) -> None:
    run = flow(nodes=[cached("{{ inputs.day.hour }}")]).run()
    assert run.error["details"]["code"] == "expression_undefined"
    assert times_done() == 0


def test_failures_are_not_kept(flow: MakeFlow) -> None:
    made = flow(nodes=[cached("same", fail_times="{{ inputs.fails }}")])
    assert [made.run(fails=fails).status for fails in (1, 0, 1)] == ["failed", "completed", "completed"]
    assert times_done() == 2


def test_workers_take_it_too(flow: MakeFlow) -> None:
    made = flow(nodes=[cached("same", value=1), effect("beside")])
    assert [reason(made.run()) for _ in range(2)] == [None, "cached"]
    assert times_done() == 1


def test_others_have_their_own(flow: MakeFlow) -> None:
    flow(nodes=[cached("same", value=1)]).run()
    flow(nodes=[cached("same", value=1)]).run()  # another workflow
    made = flow(nodes=[cached("same", value=1), {**cached("same", value=2), "id": "different"}])
    run = made.run()
    assert (step(run, "costly").output, step(run, "different").output) == (1, 2)
    assert times_done() == 3


def test_items_of_a_map_have_keys_of_their_own(flow: MakeFlow) -> None:
    inner = {"type": "effect", "config": {"value": "{{ index }}"}, "cache": {"key": "{{ item }}", "ttl": "1h"}}
    each = {"id": "costly", "type": "map", "config": {"items": ["a", "b", "a"], "step": inner, "max_concurrency": 1}}
    assert flow(nodes=[each]).run().outputs["costly"]["results"] == [0, 1, 0]
    assert times_done() == 2


def test_without_the_cache_it_runs(flow: MakeFlow, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise DatabaseError("gone")

    monkeypatch.setattr("flowforge.engine.cache.cached_output", fails)
    monkeypatch.setattr("flowforge.engine.cache.keep_output", fails)
    assert flow(nodes=[cached("same", value=1)]).run().status == "completed"


def test_what_is_too_large_is_not_kept(flow: MakeFlow) -> None:
    run = flow(nodes=[cached("same", value="x" * 1_100_000)]).run()
    assert fresh(run).error["details"]["code"] == "invalid_output"
    assert not CachedOutput.objects.exists()


def test_what_has_expired_is_deleted(flow: MakeFlow, frozen_clock: FrozenClock) -> None:
    made = flow(chain(cached("same", value=1)))
    made.run()
    frozen_clock.advance(3599)
    assert housekeeping.run_once(clock.now()).deleted["runs.services.cache.purge"] == 0
    frozen_clock.advance(1)
    assert housekeeping.run_once(clock.now()).deleted["runs.services.cache.purge"] == 1
    assert not CachedOutput.objects.exists()
