"""runs.services.start: what is stored, and that it is stored once."""

import uuid
from datetime import timedelta

import pytest

from flowforge.core import clock
from flowforge.core.errors import Conflict, InvalidBody, NotFound
from flowforge.telemetry import trace
from runs.models import DedupeKey, Run, RunEvent
from runs.services import Origin, Started, StartItem, Trigger, start_run, start_runs
from runs.services import start as service

pytestmark = pytest.mark.django_db

ACTOR = "key:one"


def start(workflow, **more):
    return start_run(**{"workflow": workflow, "inputs": {"day": "monday"}, "caller_actor": ACTOR, **more})


def test_it_works(chain, bell, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        started = start(chain, metadata={"customer": "acme"})

    assert started.created
    run = Run.objects.get()
    assert run == started.run
    assert (run.status, run.steps_total, run.event_seq, run.priority) == ("pending", 2, 1, 3)
    assert run.inputs == {"day": "monday", "mode": "full"}
    assert run.metadata == {"customer": "acme"}
    assert (run.project_id, run.workflow_version, run.created_by) == (chain.project_id, 1, ACTOR)
    assert run.version == chain.versions.get()
    assert run.wake_at == run.created_at
    assert run.deadline_at is None
    event = RunEvent.objects.get()
    assert (event.run_id, event.seq, event.event, event.step_id) == (run.id, 1, "run.created", None)
    assert event.data == {"status": "pending", "trigger": {"type": "api", "id": None}}
    assert bell.driven == [run.id]


def test_it_takes_few_statements(chain, django_assert_num_queries):
    start(chain)  # the definition is read once in a process

    with django_assert_num_queries(4):  # SAVEPOINT and its release stand for BEGIN and COMMIT
        start(chain)


def test_it_rejects_inputs_that_do_not_fit(chain):
    with pytest.raises(InvalidBody) as caught:
        start(chain, inputs={"mode": 3})

    assert {(fault.pointer, fault.code) for fault in caught.value.faults} == {
        ("/inputs/day", "required"),
        ("/inputs/mode", "type"),
    }
    assert not Run.objects.exists()


@pytest.mark.parametrize("status", ["paused", "archived"])
def test_it_rejects_a_workflow_that_takes_no_runs(workflow, status):
    workflow.status = status

    with pytest.raises(Conflict, match=status):
        start(workflow)


def test_it_rejects_an_archived_project(workflow):
    workflow.project.status = "archived"

    with pytest.raises(Conflict, match="archived"):
        start(workflow)


def test_it_rejects_a_version_that_is_not_there(workflow):
    with pytest.raises(NotFound):
        start(workflow, version=7)


def test_it_leaves_nothing_when_the_transaction_fails(chain, monkeypatch):
    def explode(_run):
        raise RuntimeError("boom")

    monkeypatch.setattr(service, "_created_event", explode)  # the run's row is written by then

    with pytest.raises(RuntimeError):
        start(chain, dedupe_key="k")

    assert not Run.objects.exists()
    assert not DedupeKey.objects.exists()


def test_a_run_of_the_future_rings_no_bell(workflow, bell, django_capture_on_commit_callbacks):
    later = clock.now() + timedelta(hours=1)

    with django_capture_on_commit_callbacks(execute=True):
        run = start(workflow, run_at=later).run

    run.refresh_from_db()
    assert (run.run_at, run.wake_at) == (later, later)
    assert bell.driven == []


def test_a_run_of_the_next_moment_rings_at_once(workflow, bell, django_capture_on_commit_callbacks):
    """Whoever looks at it sets an alarm; otherwise the sweep would find it up to a second late."""
    with django_capture_on_commit_callbacks(execute=True):
        run = start(workflow, run_at=clock.now() + timedelta(seconds=9)).run

    run.refresh_from_db()
    assert (run.status, run.wake_at) == ("pending", run.run_at)
    assert bell.driven == [run.id]


def test_it_keeps_who_and_what_began_it(workflow):
    parent = start(workflow).run

    run = start(
        workflow, trigger=Trigger(type="schedule", id="7"), priority=-2, parent_run=parent, replay_of=parent
    ).run

    run.refresh_from_db()
    assert (run.trigger_type, run.trigger_id, run.priority) == ("schedule", "7", -2)
    assert (run.parent_run, run.replay_of) == (parent, parent)


def test_it_goes_on_with_the_callers_trace(workflow):
    here = trace.begin()

    with trace.using(here):
        within = start(workflow).run
    given = start(workflow, traceparent=f"00-{'a' * 32}-{'b' * 16}-01").run

    assert (within.trace_id, within.traceparent) == (here.trace_id, here.traceparent)
    assert (given.trace_id, given.traceparent) == ("a" * 32, f"00-{'a' * 32}-{'b' * 16}-01")


def test_an_older_version_can_be_run(project, workflow):
    from tests import factories

    factories.make_version(workflow=workflow, version=2, definition={"nodes": [], "edges": []})
    workflow.version = 2

    assert start(workflow, version=1).run.steps_total == 1
    assert start(workflow).run.steps_total == 0


# --- dedupe -------------------------------------------------------------------------------------------------------


def test_the_same_key_gets_the_same_run(workflow, bell, django_capture_on_commit_callbacks):
    first = start(workflow, dedupe_key="k")

    with django_capture_on_commit_callbacks(execute=True):
        again = start(workflow, dedupe_key="k")

    assert (first.created, again.created) == (True, False)
    assert again.run == first.run
    assert Run.objects.count() == RunEvent.objects.count() == 1
    assert bell.driven == []


def test_keys_are_per_workflow(workflow, chain):
    assert start(workflow, dedupe_key="k").run != start(chain, dedupe_key="k").run


def test_a_key_expires_after_a_day(workflow, frozen_clock):
    first = start(workflow, dedupe_key="k")
    frozen_clock.advance(24 * 3600 - 1)
    assert start(workflow, dedupe_key="k").run == first.run
    frozen_clock.advance(1)

    second = start(workflow, dedupe_key="k")

    assert second.created
    assert second.run != first.run
    assert DedupeKey.objects.get().run_id == second.run.id
    assert start(workflow, dedupe_key="k").run == second.run


# --- batches ------------------------------------------------------------------------------------------------------


def batch(workflow, *items):
    return start_runs(workflow=workflow, items=items, origin=Origin(actor=ACTOR))


def test_a_batch_answers_each_item_in_order(chain, bell, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        first, wrong, second = batch(
            chain,
            StartItem(inputs={"day": "monday"}, priority=9),
            StartItem(inputs={}),
            StartItem(inputs={"day": "tuesday"}, metadata={"n": 2}),
        )

    assert isinstance(wrong, InvalidBody)
    assert [run.inputs["day"] for run in Run.objects.order_by("id")] == ["monday", "tuesday"]
    assert (first.run.priority, second.run.priority) == (9, 3)
    assert second.run.metadata == {"n": 2}
    assert RunEvent.objects.count() == 2
    assert bell.driven == [first.run.id, second.run.id]


def test_a_batch_of_nothing_but_faults_stores_nothing(chain):
    answers = batch(chain, StartItem(), StartItem())

    assert all(isinstance(answer, InvalidBody) for answer in answers)
    assert not Run.objects.exists()


def test_a_key_twice_in_a_batch_is_one_run(workflow):
    held = start(workflow, dedupe_key="old").run

    answers = batch(
        workflow,
        StartItem(dedupe_key="new"),
        StartItem(dedupe_key="new"),
        StartItem(dedupe_key="old"),
        StartItem(),
    )

    assert all(isinstance(answer, Started) for answer in answers)
    assert [answer.created for answer in answers] == [True, False, False, True]
    assert answers[0].run == answers[1].run
    assert answers[2].run == held
    assert Run.objects.count() == 3


def test_a_thousand_runs_take_one_transaction(workflow, query_counter):
    start(workflow)

    with query_counter() as queries:
        answers = batch(workflow, *[StartItem(inputs={"n": n}) for n in range(1000)])

    assert len({answer.run.id for answer in answers}) == 1000
    assert Run.objects.count() == 1001
    assert sum("SAVEPOINT" in query["sql"] for query in queries if not query["sql"].startswith("RELEASE")) == 1


def test_ids_grow_with_the_order_of_the_items(workflow):
    answers = batch(workflow, *[StartItem() for _ in range(50)])

    ids: list[uuid.UUID] = [answer.run.id for answer in answers]
    assert ids == sorted(ids)
