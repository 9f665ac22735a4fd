"""runs.services.intents: wishes are written and rung, states are left alone."""

import pytest

from flowforge.core import clock
from flowforge.core.errors import Conflict, NotFound
from flowforge.core.ids import new_id
from flowforge.kernel.states import ENDED_RUN_STATUSES, LIVE_RUN_STATUSES
from runs.services import cancel_live_runs, cancel_run, pause_run, resume_run
from tests import factories

pytestmark = pytest.mark.django_db

SERVICES = (cancel_run, pause_run, resume_run)


@pytest.fixture
def run(workflow):
    return factories.make_run(workflow=workflow, wake_at=None)


@pytest.mark.parametrize("status", LIVE_RUN_STATUSES)
def test_it_works(workflow, status, bell, django_capture_on_commit_callbacks, frozen_clock):
    run = factories.make_run(workflow=workflow, status=status, wake_at=None)

    with django_capture_on_commit_callbacks(execute=True):
        cancel_run(run_id=run.id)

    run.refresh_from_db()
    assert run.cancel_requested_at == run.wake_at == clock.now()
    assert (run.status, run.pokes, run.event_seq) == (status, 1, 0)
    assert bell.driven == [run.id]


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("status", ENDED_RUN_STATUSES)
def test_it_rejects_a_run_that_has_ended(run, end, bell, service, status, django_capture_on_commit_callbacks):
    end(run, status, pause_requested_at=clock.now())

    with django_capture_on_commit_callbacks(execute=True), pytest.raises(Conflict, match=status):
        service(run_id=run.id)

    run.refresh_from_db()
    assert (run.cancel_requested_at, run.pokes, run.wake_at) == (None, 0, None)
    assert bell.driven == []


@pytest.mark.parametrize("service", SERVICES)
def test_it_rejects_a_run_that_is_not_there(db, service):
    with pytest.raises(NotFound):
        service(run_id=new_id())


@pytest.mark.parametrize("service", [cancel_run, pause_run])
def test_asking_twice_changes_nothing(run, service, bell, django_capture_on_commit_callbacks):
    service(run_id=run.id)
    run.refresh_from_db()
    first = (run.cancel_requested_at, run.pause_requested_at)

    with django_capture_on_commit_callbacks(execute=True):
        service(run_id=run.id)

    run.refresh_from_db()
    assert (run.cancel_requested_at, run.pause_requested_at) == first
    assert run.pokes == 1
    assert bell.driven == []


def test_pause_and_resume(run, bell, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        pause_run(run_id=run.id)
        run.refresh_from_db()
        assert run.pause_requested_at is not None
        resume_run(run_id=run.id)

    run.refresh_from_db()
    assert (run.pause_requested_at, run.pokes) == (None, 2)
    assert bell.driven == [run.id, run.id]


def test_it_rejects_to_resume_what_is_not_paused(run):
    with pytest.raises(Conflict, match="not paused"):
        resume_run(run_id=run.id)


def test_one_update_tells_whether_it_held(run, django_assert_num_queries):
    with django_assert_num_queries(3):  # SAVEPOINT, UPDATE, RELEASE
        cancel_run(run_id=run.id)


def test_all_live_runs_of_a_workflow_are_asked(workflow, chain, end, bell, django_capture_on_commit_callbacks):
    live = [factories.make_run(workflow=workflow, status=status) for status in LIVE_RUN_STATUSES]
    asked_before = factories.make_run(workflow=workflow, cancel_requested_at=clock.now())
    ended = end(factories.make_run(workflow=workflow))
    other = factories.make_run(workflow=chain)

    with django_capture_on_commit_callbacks(execute=True):
        assert cancel_live_runs(workflow_id=workflow.id) == len(live)

    assert set(bell.driven) == {run.id for run in live}
    for run in live:
        run.refresh_from_db()
        assert run.cancel_requested_at is not None
        assert run.wake_at == run.cancel_requested_at
    for run in (asked_before, ended, other):
        before = run.cancel_requested_at
        run.refresh_from_db()
        assert (run.cancel_requested_at, run.pokes) == (before, 0)
