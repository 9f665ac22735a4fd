"""runs.port: what workflows learn of their runs."""

from datetime import timedelta

import pytest

from flowforge.api.caller import Caller
from flowforge.core import clock
from flowforge.core.ids import new_id
from runs.port import Port
from tests import factories
from workflows.ports import runs_port

pytestmark = pytest.mark.django_db


@pytest.fixture
def port():
    return Port()


def caller_of(project, *scopes):
    return Caller(kind="key", id="one", name="one", grants={project.id: frozenset(scopes)})


def test_it_works(port, workflow, chain, project, django_assert_num_queries):
    never = factories.make_workflow(project=project)
    old = clock.now() - timedelta(hours=1)
    newest = factories.make_run(workflow=workflow, status="failed")
    factories.make_run(workflow=workflow, created_at=old)
    other = factories.make_run(workflow=chain, created_at=old)

    with django_assert_num_queries(1):
        found = port.last_runs([workflow.id, chain.id, never.id])

    assert found == {workflow.id: (newest.id, "failed"), chain.id: (other.id, "pending")}
    assert isinstance(runs_port(), Port)


def test_it_rejects_to_show_states_to_a_stranger(port, workflow, project, other_project):
    run = factories.make_run(workflow=workflow)
    factories.make_step(run=run, status="completed")

    assert port.step_states(run.id, caller_of(other_project, "admin")) is None
    assert port.step_states(run.id, caller_of(project, "workflows:read")) is None
    assert port.step_states(run.id, caller_of(project, "runs:read")) == {"only": "completed"}
    assert port.step_states(new_id(), caller_of(project, "runs:read")) is None


def test_live_runs_are_counted_and_cancelled(port, workflow, end):
    factories.make_run(workflow=workflow, status="paused")
    factories.make_run(workflow=workflow)
    end(factories.make_run(workflow=workflow))

    assert port.live_count(workflow.id) == 2
    assert port.cancel_live(workflow.id, "key:one") == 2
    assert port.live_count(workflow.id) == 2  # the engine ends them


def test_the_version_of_a_run(port, workflow):
    run = factories.make_run(workflow=workflow)

    assert port.version_of(run.id) == (workflow.id, run.version_id)
    assert port.version_of(new_id()) is None
