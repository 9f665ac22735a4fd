"""POST /v1/runs:bulk"""

from datetime import timedelta

import pytest

from flowforge.core import clock
from flowforge.core.ids import new_id
from runs.models import Run, RunEvent
from runs.services import bulk
from runs.services.bulk import steer_runs
from tests import factories

pytestmark = pytest.mark.django_db

PATH = "/v1/runs:bulk"


@pytest.fixture
def runs(workflow):
    """One of each status."""
    statuses = ("pending", "running", "waiting", "paused", "completed", "failed", "cancelled")
    return {status: factories.make_run(workflow=workflow, status=status) for status in statuses}


def ask(client, action, chosen, **more):
    return client.post(PATH, {"action": action, "filter": chosen, **more})


def test_it_works(client, runs, bell, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        answer = ask(client, "cancel", {"all": True}).expect(200)

    assert answer.data == {
        "action": "cancel",
        "dry_run": False,
        "matched": 7,
        "done": 4,
        "skipped": 3,
        "reasons": {"is_completed": 1, "is_failed": 1, "is_cancelled": 1},
        "has_more": False,
    }
    asked = set(Run.objects.filter(cancel_requested_at__isnull=False).values_list("status", flat=True))
    assert asked == {"pending", "running", "waiting", "paused"}
    assert len(bell.driven) == 4


def test_retry(client, runs):
    answer = ask(client, "retry", {"all": True}).expect(200)

    assert (answer.data["done"], answer.data["skipped"]) == (2, 5)
    assert answer.data["reasons"] == {"is_completed": 1, "in_progress": 4}
    for status in ("failed", "cancelled"):
        runs[status].refresh_from_db()
        assert (runs[status].status, runs[status].attempt) == ("running", 2)


@pytest.mark.parametrize("action", ["cancel", "retry"])
def test_a_dry_run_counts_the_same_and_changes_nothing(client, runs, action, bell):
    before = list(Run.objects.order_by("id").values())

    dry = ask(client, action, {"all": True}, dry_run=True).expect(200).data

    assert list(Run.objects.order_by("id").values()) == before
    assert bell.driven == []
    real = ask(client, action, {"all": True}).expect(200).data
    assert dry == {**real, "dry_run": True}


def test_cancelling_again_counts_what_is_on_its_way(client, runs):
    ask(client, "cancel", {"all": True}).expect(200)

    answer = ask(client, "cancel", {"all": True}).expect(200)

    assert (answer.data["done"], answer.data["reasons"]["in_progress"]) == (0, 4)


def test_filters_are_those_of_the_list(client, workflow, project):
    other = factories.make_workflow(project=project)
    old = factories.make_run(workflow=workflow, created_at=clock.now() - timedelta(days=9), status="failed")
    acme = factories.make_run(workflow=workflow, metadata={"customer": "acme", "n": 3}, status="failed")
    bad = factories.make_run(workflow=other, error={"code": "x", "message": "no such bucket"}, status="cancelled")
    day_ago = (clock.now() - timedelta(days=1)).isoformat()

    def matched(chosen):
        return ask(client, "retry", chosen, dry_run=True).expect(200).data["done"]

    assert matched({"workflow_id": str(workflow.id)}) == 2
    assert matched({"project_id": str(project.id)}) == 3
    assert matched({"created_before": day_ago}) == 1
    assert matched({"created_after": day_ago}) == 2
    assert matched({"metadata.customer": "acme"}) == 1
    assert matched({"metadata.n": 3}) == 1
    assert matched({"status": "cancelled"}) == 1
    assert matched({"status": ["failed", "cancelled"]}) == 3
    assert matched({"has_error": True}) == 1
    assert matched({"q": "bucket", "workflow_id": str(other.id)}) == 1
    assert matched({"trigger": "schedule"}) == 0
    assert old.pk != acme.pk != bad.pk


@pytest.mark.parametrize(
    ("chosen", "pointers"),
    [
        ({}, {"/filter": "required"}),
        ({"all": False}, {"/filter/all": "unknown_field"}),
        ({"all": True, "status": "failed"}, {"/filter/all": "unknown_field"}),
        ({"statuss": "failed"}, {"/filter/statuss": "unknown_field"}),
        ({"status": "odd", "has_error": "x"}, {"/filter/status": "invalid", "/filter/has_error": "invalid"}),
        ({"status": None}, {"/filter/status": "invalid"}),
        ({"workflow_id": "x"}, {"/filter/workflow_id": "invalid"}),
        ({"workflow_id": str(new_id())}, {"/filter/workflow_id": "not_found"}),
        ({"created_after": "soon"}, {"/filter/created_after": "invalid"}),
    ],
)
def test_it_rejects_a_filter_that_cannot_be_meant(client, runs, chosen, pointers):
    assert ask(client, "cancel", chosen).expect(422).pointers == pointers
    assert not Run.objects.filter(cancel_requested_at__isnull=False).exists()


def test_it_rejects_a_body_that_makes_no_sense(client):
    assert client.post(PATH, {"action": "delete", "filter": {}}).expect(422).pointers["/action"] == "invalid_choice"
    assert client.post(PATH, {"action": "cancel"}).expect(422).pointers == {"/filter": "required"}
    client.post(PATH).expect(400)
    client.get(PATH).expect(405)


def test_it_rejects_those_who_may_not(runs, client_with, client_as, anonymous):
    chosen = {"all": True}
    ask(client_as("viewer"), "cancel", chosen).expect(403)
    ask(client_with("runs:read"), "cancel", chosen).expect(403)
    ask(anonymous, "cancel", chosen).expect(401)
    assert ask(client_as("operator"), "cancel", chosen).expect(200).data["done"] == 4


def test_nobody_reaches_another_project(stranger, runs, workflow, project):
    assert ask(stranger, "cancel", {"all": True}).expect(200).data["matched"] == 0
    for name, value in (("workflow_id", workflow.id), ("project_id", project.id)):
        assert ask(stranger, "cancel", {name: str(value)}).expect(422).pointers == {f"/filter/{name}": "not_found"}
    assert not Run.objects.filter(cancel_requested_at__isnull=False).exists()


def test_runs_are_taken_in_batches_up_to_a_bound(workflow, monkeypatch, query_counter):
    monkeypatch.setattr(bulk, "MAX_RUNS", 5)
    for _ in range(7):
        factories.make_run(workflow=workflow)
    ended = factories.make_run(workflow=workflow, status="completed")

    with query_counter() as queries:
        result = steer_runs(action="cancel", runs=Run.objects.all(), caller_actor="test", batch=2)

    assert (result.matched, result.done, result.skipped, result.has_more) == (5, 5, {}, True)
    assert sum(query["sql"].startswith("UPDATE") for query in queries) == 3
    rest = steer_runs(action="cancel", runs=Run.objects.all(), caller_actor="test")
    assert (rest.done, rest.has_more) == (2, False)
    assert sum(rest.skipped.values()) == 3  # there is no more room: what can be acted on comes first
    assert ended.status == "completed"


def test_one_that_changes_meanwhile_hinders_no_other(workflow, monkeypatch):
    runs = [factories.make_run(workflow=workflow, status="failed") for _ in range(3)]
    real = bulk.retry_run

    def retry(*, run_id, caller_actor):
        if run_id == runs[1].id:
            real(run_id=run_id, caller_actor="someone else")
        real(run_id=run_id, caller_actor=caller_actor)

    monkeypatch.setattr(bulk, "retry_run", retry)
    result = steer_runs(action="retry", runs=Run.objects.all(), caller_actor="test")

    assert (result.matched, result.done, result.skipped) == (3, 2, {"conflict": 1})
    retried = RunEvent.objects.filter(event="run.retried").order_by("run_id")
    assert [event.data["by"] for event in retried] == ["test", "someone else", "test"]
