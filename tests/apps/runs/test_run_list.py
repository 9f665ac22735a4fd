"""GET /v1/runs, /v1/workflows/{id}/runs and /v1/projects/{id}/runs"""

from datetime import timedelta

import pytest
from django.db import connection

from flowforge.core import clock
from flowforge.core.ids import new_id
from runs.models import Run
from runs.present import RunRow
from runs.raw import raw
from runs.selectors import named_runs
from tests import factories

pytestmark = pytest.mark.django_db

START = clock.datetime(2026, 1, 1, 12, 0, 0, tzinfo=clock.UTC)


def ids(answer):
    return [row["id"] for row in answer.expect(200).data]


def make_runs(workflow, count, **fields):
    """`count` runs, oldest first, a second apart."""
    return [
        factories.make_run(workflow=workflow, created_at=START + timedelta(seconds=number), **fields)
        for number in range(count)
    ]


def test_it_works(client, workflow):
    old, new = make_runs(workflow, 2, inputs={"a": 1}, metadata={"b": 2})

    answer = client.get("/v1/runs").expect(200)

    assert ids(answer) == [str(new.id), str(old.id)]
    assert answer.meta == {"cursor": None, "has_more": False}
    detail = client.get(f"/v1/runs/{new.id}").data
    detail.pop("steps")
    assert answer.data[0] == detail


def test_it_rejects_those_who_may_not(workflow, client_with, client_as, stranger, anonymous):
    run = factories.make_run(workflow=workflow)

    assert ids(client_as("viewer").get("/v1/runs")) == [str(run.id)]
    assert ids(stranger.get("/v1/runs")) == []
    client_with("workflows:read").get("/v1/runs").expect(403)
    anonymous.get("/v1/runs").expect(401)


def test_no_filter_shows_what_is_not_the_callers(workflow, stranger, other_project):
    run = factories.make_run(workflow=workflow, metadata={"k": "v"})

    for name, value in (("project_id", workflow.project_id), ("workflow_id", workflow.id)):
        stranger.get("/v1/runs", **{name: value}).expect(404)
    assert ids(stranger.get("/v1/runs", **{"metadata.k": "v"})) == []
    assert ids(stranger.get("/v1/runs", q=str(run.id))) == []
    stranger.get(f"/v1/workflows/{workflow.id}/runs").expect(404)
    stranger.get(f"/v1/projects/{workflow.project_id}/runs").expect(404)
    own = factories.make_workflow(project=other_project)
    stranger.get(f"/v1/workflows/{own.id}/runs", workflow_id=workflow.id).expect(404)


@pytest.fixture
def person(workflow, other_project, client_as):
    """A member of two projects."""
    client = client_as("viewer")
    user = factories.User.objects.get(projects=workflow.project)
    factories.Membership.objects.create(project=other_project, user=user, role="viewer")
    return client


def test_a_person_sees_the_runs_of_all_their_projects(person, workflow, other_project):
    stranger = factories.make_workflow(project=factories.make_project())
    other = factories.make_workflow(project=other_project)
    for moment in range(6):
        factories.make_run(
            workflow=(workflow, other, stranger)[moment % 3], created_at=START + timedelta(seconds=moment)
        )
    newest_first = [str(run.id) for run in Run.objects.exclude(workflow=stranger).order_by("-created_at")]

    seen, cursor = [], None
    for _ in range(2):
        page = person.get("/v1/runs", limit=3, **({"cursor": cursor} if cursor else {}))
        seen += ids(page)
        cursor = page.meta["cursor"]

    assert seen == newest_first
    assert (len(seen), page.meta["has_more"]) == (4, False)
    assert ids(person.get("/v1/runs", page=2, limit=3)) == newest_first[3:]
    assert len(ids(person.get("/v1/runs", project_id=other_project.id))) == 2
    assert len(ids(person.get("/v1/runs", workflow_id=workflow.id, status="pending"))) == 2


def test_a_listing_over_projects_takes_a_query_each(person, workflow, own_queries):
    make_runs(workflow, 3)
    person.get("/v1/runs")

    with own_queries:
        person.get("/v1/runs")

    assert sum("runs_run" in sql for sql in own_queries.statements) == 2


def test_nested_listings(client, workflow, chain):
    run, other = factories.make_run(workflow=workflow), factories.make_run(workflow=chain)

    assert ids(client.get(f"/v1/workflows/{workflow.id}/runs")) == [str(run.id)]
    assert ids(client.get(f"/v1/projects/{workflow.project_id}/runs")) == [str(other.id), str(run.id)]
    client.get(f"/v1/workflows/{new_id()}/runs").expect(404)
    client.get(f"/v1/projects/{new_id()}/runs").expect(404)


def test_pages_follow_each_other(client, workflow):
    make_runs(workflow, 3)
    factories.make_run(workflow=workflow, created_at=START)  # the same moment: the id decides
    whole = ids(client.get("/v1/runs"))

    seen, cursor = [], None
    for _ in range(4):
        page = client.get("/v1/runs", limit=1, **({"cursor": cursor} if cursor else {})).expect(200)
        seen += ids(page)
        cursor = page.meta["cursor"]

    assert seen == whole
    assert page.meta == {"cursor": None, "has_more": False}


def test_numbered_pages(client, workflow):
    runs = make_runs(workflow, 3)

    answer = client.get("/v1/runs", page=2, limit=2)

    assert ids(answer) == [str(runs[0].id)]
    assert answer.meta == {"total": 3, "page": 2, "limit": 2, "total_pages": 2}


def test_one_query_whatever_the_length(client, workflow, own_queries):
    make_runs(workflow, 50)
    client.get("/v1/runs")

    with own_queries:
        assert len(ids(client.get("/v1/runs", limit=50))) == 50

    assert len(own_queries.statements) == 1


# --- filters ------------------------------------------------------------------------------------------------------


def test_by_status(client, workflow, end):
    pending = factories.make_run(workflow=workflow)
    failed = end(factories.make_run(workflow=workflow), "failed")
    completed = end(factories.make_run(workflow=workflow), "completed")

    assert ids(client.get("/v1/runs", status="failed")) == [str(failed.id)]
    assert ids(client.get("/v1/runs", status="FAILED,pending")) == [str(failed.id), str(pending.id)]
    assert ids(client.get("/v1/runs", status=["failed", "completed"])) == [str(completed.id), str(failed.id)]


def test_by_workflow_and_project(client, workflow, chain):
    run, other = factories.make_run(workflow=workflow), factories.make_run(workflow=chain)

    assert ids(client.get("/v1/runs", workflow_id=chain.id)) == [str(other.id)]
    assert ids(client.get("/v1/runs", project_id=chain.project_id)) == [str(other.id), str(run.id)]
    client.get("/v1/runs", project_id=new_id()).expect(404)


def test_by_trigger(client, workflow):
    factories.make_run(workflow=workflow)
    run = factories.make_run(workflow=workflow, trigger_type="schedule", trigger_id="7")

    answer = client.get("/v1/runs", trigger="schedule")

    assert ids(answer) == [str(run.id)]
    assert answer.data[0]["trigger"] == {"type": "schedule", "id": "7"}


@pytest.mark.parametrize("form", ["2026-01-01T12:00:01Z", "2026-01-01T13:00:01+01:00", "2026-01-01T12:00:01"])
def test_by_time(client, workflow, form):
    runs = make_runs(workflow, 3)

    assert ids(client.get("/v1/runs", created_after=form)) == [str(runs[2].id)]
    assert ids(client.get("/v1/runs", created_before=form)) == [str(runs[0].id)]


def test_a_plus_that_became_a_space_is_meant_as_a_plus(client, workflow):
    make_runs(workflow, 3)

    assert len(ids(client.get("/v1/runs?created_after=2026-01-01T13:00:01+01:00"))) == 1


def test_by_error(client, workflow, end):
    fine = factories.make_run(workflow=workflow)
    failed = end(factories.make_run(workflow=workflow), "failed", error={"code": "timeout", "message": "late"})

    assert ids(client.get("/v1/runs", has_error="true")) == [str(failed.id)]
    assert ids(client.get("/v1/runs", has_error="FALSE")) == [str(fine.id)]


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ({"customer": "acme"}, {"metadata.customer": "acme"}),
        ({"n": 3}, {"metadata.n": "3"}),
        ({"n": "3"}, {"metadata.n": "3"}),
        ({"n": 1.5}, {"metadata.n": "1.5"}),
        ({"dry": True}, {"metadata.dry": "true"}),
        ({"name": "Zoë"}, {"metadata.name": "Zoë"}),
        ({"a b's\"": "x"}, {"metadata.a b's\"": "x"}),
        ({"a": "1", "b": "2"}, {"metadata.a": "1", "metadata.b": "2"}),
        ({"a.b": "x"}, {"metadata.a.b": "x"}),
        ({"a__contains": "x"}, {"metadata.a__contains": "x"}),
        ({"2024": "x"}, {"metadata.2024": "x"}),
    ],
)
def test_by_metadata(client, workflow, stored, asked):
    run = factories.make_run(workflow=workflow, metadata=stored)
    factories.make_run(workflow=workflow, metadata=dict.fromkeys(stored, "other"))
    factories.make_run(workflow=workflow)

    assert ids(client.get("/v1/runs", **asked)) == [str(run.id)]


def test_by_text(client, workflow, chain, end):
    workflow.name = "Daily 100% import"
    workflow.save(update_fields=["name"])
    run = end(factories.make_run(workflow=workflow), "failed", error={"code": "x", "message": "Disk is full"})
    other = factories.make_run(workflow=chain)

    assert ids(client.get("/v1/runs", q="daily 100%")) == [str(run.id)]
    assert ids(client.get("/v1/runs", q="disk IS")) == [str(run.id)]
    assert ids(client.get("/v1/runs", q=str(other.id))) == [str(other.id)]
    assert ids(client.get("/v1/runs", q=str(other.id)[:35].upper())) == [str(other.id)]
    assert ids(client.get("/v1/runs", q="nothing like it")) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "done"),
        ("status", ""),
        ("workflow_id", "x"),
        ("project_id", "x"),
        ("created_after", "yesterday"),
        ("created_before", "2026-13-01T00:00:00Z"),
        ("has_error", "perhaps"),
        ("q", ""),
        ("q", "x" * 201),
        ("stauts", "failed"),
        ("metadata.", "x"),
        ("metadata", "x"),
        ("limit", "101"),
        ("cursor", "AAAA"),
        ("trigger", ["api", "schedule"]),
    ],
)
def test_it_rejects_a_query_that_cannot_be_meant(client, name, value):
    assert client.get("/v1/runs", **{name: value}).expect(400).code in ("invalid_query", "invalid_cursor")


def test_a_cursor_is_good_for_its_own_filters_alone(client, workflow):
    make_runs(workflow, 3)
    cursor = client.get("/v1/runs", limit=1).meta["cursor"]

    client.get("/v1/runs", limit=1, cursor=cursor, trigger="api").expect(400)


# --- cost ---------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(connection.vendor != "sqlite", reason="reads SQLite's plan")
@pytest.mark.parametrize(
    ("column", "index"), [("project_id", "run_listing"), ("workflow_id", "run_listing_by_workflow")]
)
def test_listings_walk_their_index(workflow, column, index, own_queries, client):
    make_runs(workflow, 300)
    with connection.cursor() as statistics:
        statistics.execute("ANALYZE")
    nested = {"project_id": "projects", "workflow_id": "workflows"}[column]
    path = f"/v1/{nested}/{getattr(workflow, column, workflow.id)}/runs"
    cursor = client.get(path, limit=1).meta["cursor"]

    with own_queries:
        client.get(path, limit=1, cursor=cursor).expect(200)

    plan = plan_of(own_queries)
    assert f"USING INDEX {index} (" in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.skipif(connection.vendor != "sqlite", reason="reads SQLite's plan")
@pytest.mark.parametrize(
    ("status", "index"),
    [
        ("waiting", "run_live_listing"),
        ("running", "run_live_listing"),
        ("failed", "run_failed_listing"),
        ("cancelled", "run_cancelled_listing"),
    ],
)
def test_a_listing_by_status_does_not_read_all_that_is_stored(workflow, status, index, own_queries, client):
    make_runs(workflow, 3)

    with own_queries:
        client.get("/v1/runs", status=status).expect(200)

    plan = plan_of(own_queries)
    assert f"USING INDEX {index} (" in plan
    assert "TEMP B-TREE" not in plan


def plan_of(queries):
    sql = next(sql for sql in queries.statements if "runs_run" in sql)
    with connection.cursor() as executed:
        executed.execute(f"EXPLAIN QUERY PLAN {sql}")
        return "\n".join(row[3] for row in executed.fetchall())


def test_raw_rows_say_what_models_say(workflow):
    run = factories.make_run(workflow=workflow, metadata={"a": [1]})

    row = raw(named_runs(), RunRow).get()

    assert str(row.id).replace("-", "") == run.id.hex
    assert (row.workflow_name, row.status, row.error) == (workflow.name, "pending", None)
    assert isinstance(row.metadata, str)
