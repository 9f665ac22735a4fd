"""Whether any of some nodes is still under way: asked after every result, of runs of ten thousand steps too."""

from collections.abc import Callable

import pytest
from django.db import connection

from flowforge.core import clock
from flowforge.engine.store import steps as step_store
from runs.models import StepRun
from tests.engine.conftest import Flow

pytestmark = pytest.mark.django_db
MakeFlow = Callable[..., Flow]
WIDTH = step_store.MANY_NODES + 1
NODES = [f"s{place}" for place in range(WIDTH)]


def fan(flow: MakeFlow) -> StepRun:
    """A run whose steps have all ended; the last of them."""
    run = flow(nodes=[{"id": node, "type": "effect"} for node in NODES]).run()
    assert run.status == "completed"
    return StepRun.objects.get(run=run, node_id=NODES[-1])


def set_status(step: StepRun, status: str) -> None:
    StepRun.objects.filter(pk=step.pk).update(status=status, available_at=clock.now())


def test_it_works(flow: MakeFlow) -> None:
    step = fan(flow)
    assert not step_store.any_live(step.run_id, NODES)
    assert not step_store.any_live(step.run_id, None)


@pytest.mark.parametrize("status", ["pending", "running", "retrying", "waiting"])
@pytest.mark.parametrize("many", [True, False])
def test_one_of_them_is_found(flow: MakeFlow, status: str, many: bool) -> None:
    step = fan(flow)
    set_status(step, status)
    assert step_store.any_live(step.run_id, NODES if many else NODES[-1:])
    assert step_store.any_live(step.run_id, None)
    others = [*NODES[:-1], "another"] if many else NODES[:1]
    assert not step_store.any_live(step.run_id, others)


def test_one_that_is_to_be_decided_anew_is_not_under_way(flow: MakeFlow) -> None:
    step = fan(flow)
    StepRun.objects.filter(pk=step.pk).update(status="pending", available_at=None)
    assert not step_store.any_live(step.run_id, NODES)
    assert not step_store.any_live(step.run_id, None)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="reads SQLite's plan")
@pytest.mark.parametrize(
    ("condition", "index"),
    [("\"index\" = -1 AND status = 'running'", "step_running"), ("status IN ('pending', 'retrying')", "step_claim")],
)
def test_steps_that_have_ended_are_not_read(db: None, condition: str, index: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"EXPLAIN QUERY PLAN SELECT node_id FROM runs_steprun WHERE run_id = 'a' AND {condition} LIMIT 9"
        )
        assert index in cursor.fetchone()[3]
