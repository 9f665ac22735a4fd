"""Which run may begin, and when: keys, the project's limit, paces, the order of queues."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from flowforge.core import clock
from flowforge.core.errors import InvalidBody
from flowforge.engine import driver, worker
from flowforge.engine.admission import why
from flowforge.engine.store.runs import read_run
from flowforge.projects.models import Project
from runs.models import Run
from runs.services import Origin, StartItem, cancel_run, pause_run, resume_run, retry_run, start_runs
from runs.services.ordering import change_priority
from tests.engine.conftest import Flow, chain, effect, fresh
from tests.support import invariants
from tests.support.step_types import Effect

pytestmark = pytest.mark.django_db
MakeFlow = Callable[..., Flow]

PATIENT = chain({"id": "wait", "type": "wait_event", "config": {"event": "go"}}, effect("after"))
ONE_A_CUSTOMER = {"concurrency": {"key": "{{ inputs.customer }}", "limit": 1}}


def limit_project(project: Project, **settings: Any) -> None:
    project.settings = {**project.settings, **settings}
    project.save(update_fields=["settings"])


def standing(*runs: Run) -> list[str]:
    return [fresh(run).status for run in runs]


def never() -> None:
    """No precondition."""


def test_it_works(flow: MakeFlow) -> None:
    """Of two runs of one customer one waits for the end of the other; another customer's does not."""
    made = flow(PATIENT, config=ONE_A_CUSTOMER)
    first, second, other = (made.start(customer=name) for name in ("acme", "acme", "moe"))
    made.drain()
    assert standing(first, second, other) == ["waiting", "pending", "waiting"]
    assert fresh(second).status_reason == "concurrency_key"
    assert fresh(second).wake_at is None  # nobody looks at it in vain
    cancel_run(run_id=first.pk)
    made.drain()
    assert standing(first, second) == ["cancelled", "waiting"]
    assert fresh(second).queued_in is None
    assert fresh(second).status_reason is None


def test_it_rejects_a_key_that_cannot_be_evaluated(flow: MakeFlow) -> None:
    made = flow(nodes=[], config={"concurrency": {"key": "{{ inputs.n / 0 }}"}})
    with pytest.raises(InvalidBody, match="key of concurrency") as refused:
        made.start(n=1)
    assert refused.value.faults[0].pointer == "/inputs"
    assert not Run.objects.exists()


def test_a_run_without_limits_costs_nothing(flow: MakeFlow, django_assert_max_num_queries: Any) -> None:
    made = flow(nodes=[{"id": "t", "type": "transform", "config": {"values": {}}}])
    made.run()
    run = made.start()
    with django_assert_max_num_queries(6):
        driver.drive(run.pk)
    assert fresh(run).status == "completed"


def test_the_first_in_order_begins_first(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("only")], config={"concurrency": {}})
    ranks = [1, 9, 5, 9]
    runs = [made.start_with(priority=rank) for rank in ranks]
    made.drain()
    began = sorted(runs, key=lambda run: fresh(run).event_seq and fresh(run).started_at)
    assert [fresh(run).status for run in runs] == ["completed"] * 4
    assert [run.priority for run in began] == [9, 9, 5, 1]
    assert began[:2] == [runs[1], runs[3]]


def test_a_changed_priority_counts(flow: MakeFlow) -> None:
    made = flow(PATIENT, config={"concurrency": {}})
    holder, one, two = (made.start() for _ in range(3))
    made.drain()
    change_priority(run_id=two.pk, priority=3, check=never)
    cancel_run(run_id=holder.pk)
    made.drain()
    assert standing(one, two) == ["pending", "waiting"]


# --- the project's limit ------------------------------------------------------------------------------------------


def test_a_project_runs_so_many_and_those_that_wait_do_not_count(flow: MakeFlow, project: Project) -> None:
    limit_project(project, max_concurrent_runs=1)
    gated, patient = flow(nodes=[effect("a"), effect("b")]), flow(PATIENT)
    busy, queued, waits = gated.start(), gated.start(), patient.start()
    rings, gated.bell.rings = gated.bell.rings, []
    for ring in rings:
        driver.drive(ring.run_id)  # two effects: they are left to workers, the run is running
    assert standing(busy, queued, waits) == ["running", "pending", "pending"]
    assert fresh(waits).status_reason == "concurrency_limit"
    gated.drain()
    assert standing(busy, queued, waits) == ["completed", "completed", "waiting"]


def test_a_run_that_goes_on_needs_a_place_again(flow: MakeFlow, project: Project) -> None:
    limit_project(project, max_concurrent_runs=1)
    patient = flow(chain({"id": "wait", "type": "delay", "config": {"duration": "1h"}}, effect("after")))
    waits = patient.run()
    assert waits.status == "waiting"
    busy = flow(nodes=[effect("a"), effect("b")]).start()
    driver.drive(busy.pk)
    Run.objects.filter(pk=waits.pk).update(wake_at=clock.now())
    waits.steps.update(available_at=clock.now())
    driver.drive(waits.pk)
    held = fresh(waits)
    assert (held.status, held.status_reason) == ("waiting", "concurrency_limit")
    assert Effect.order == []
    patient.drain()
    assert standing(busy, waits) == ["completed", "completed"]
    assert invariants.violations([invariants.story_of(fresh(run)) for run in (busy, waits)]) == []


def test_a_paused_run_gives_up_its_place(flow: MakeFlow, project: Project) -> None:
    limit_project(project, max_concurrent_runs=1)
    made = flow(nodes=[effect("a"), effect("b")])
    first, second = made.start(), made.start()
    made.bell.rings.clear()
    for run in (first, second):
        driver.drive(run.pk)
    pause_run(run_id=first.pk)
    driver.drive(first.pk)
    made.bell.rings = [ring for ring in made.bell.rings if ring.run_id == second.pk and ring.queue == "control"]
    driver.drive(second.pk)
    assert standing(first, second) == ["paused", "running"]
    resume_run(run_id=first.pk)
    driver.drive(first.pk)
    assert standing(first, second) == ["waiting", "running"]
    for run in (second, first):
        from_workers(made, run)
    made.drain()
    assert standing(first, second) == ["completed", "completed"]


def test_a_retried_run_needs_its_places_anew(flow: MakeFlow) -> None:
    wait = {"id": "wait", "type": "wait_event", "config": {"event": "go"}}
    made = flow(chain(effect("a", fail_times="{{ inputs.fails }}"), wait), config={"concurrency": {}})
    failed, holder = made.run(fails=1), made.run(fails=0)
    assert standing(failed, holder) == ["failed", "waiting"]
    retry_run(run_id=failed.pk, caller_actor="test")
    made.drain()
    held = fresh(failed)
    assert (held.status, held.status_reason, held.attempt) == ("waiting", "concurrency_key", 2)
    assert Effect.order == ["a", "a"]
    cancel_run(run_id=holder.pk)
    made.drain()
    assert fresh(failed).queued_in is None
    assert Effect.order == ["a", "a", "a"]
    cancel_run(run_id=failed.pk)
    made.drain()
    assert invariants.violations([invariants.story_of(fresh(run)) for run in (failed, holder)]) == []


def test_who_queues_is_looked_at_once_however_many_come(flow: MakeFlow) -> None:
    made = flow(nodes=[effect("only")], config={"concurrency": {}})
    items = [StartItem() for _ in range(200)]
    start_runs(workflow=made.workflow, items=items, origin=Origin(actor="test"))
    assert len(made.bell.rings) == 1
    assert made.drain() == 200  # each is hinted when it is its turn
    assert set(Run.objects.values_list("status", flat=True)) == {"completed"}


def test_a_run_that_cannot_be_driven_holds_up_nobody(flow: MakeFlow, monkeypatch: pytest.MonkeyPatch) -> None:
    made = flow(nodes=[effect("only")], config={"concurrency": {}})
    broken, fine = made.start_with(priority=9), made.start()
    made.bell.rings.clear()
    with monkeypatch.context() as patch:
        patch.setattr(driver.Drive, "turns", lambda self: 1 / 0)
        driver.drive(broken.pk)
    driver.drive(fine.pk)
    made.drain()
    assert standing(broken, fine) == ["pending", "completed"]
    driver.drive(broken.pk)
    made.drain()
    assert standing(broken) == ["completed"]


def test_why_says_what_the_driver_finds(flow: MakeFlow, project: Project) -> None:
    limit_project(project, max_concurrent_runs=1)
    made = flow(PATIENT, config=ONE_A_CUSTOMER)
    first, second = made.start(customer="acme"), made.start(customer="acme")
    made.drain()
    row = read_run(second.pk)
    assert row is not None
    (cause,) = why(row, clock.now())
    assert (cause.code, cause.position, cause.since) == ("concurrency_key", 1, second.created_at)
    assert [holder.id for holder in cause.holders] == [first.pk]
    pause_run(run_id=second.pk)
    later = made.start_with(inputs={"customer": "moe"}, run_at=clock.now() + timedelta(hours=1))
    for run, codes in ((second, ["paused", "concurrency_key"]), (later, ["waiting_until"]), (first, [])):
        row = read_run(run.pk)
        assert row is not None
        assert [found.code for found in why(row, clock.now())] == codes


def from_workers(made: Flow, run: Run) -> None:
    worker.work(run.pk, "default")
