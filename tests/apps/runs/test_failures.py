"""GET /v1/failures, /v1/failures/{id}, and its :retry and :resolve"""

from datetime import timedelta

import pytest

from flowforge.core import clock
from flowforge.core.ids import new_id
from tests import factories

pytestmark = pytest.mark.django_db

START = clock.datetime(2026, 1, 1, 12, 0, 0, tzinfo=clock.UTC)


@pytest.fixture
def make_group(workflow):
    def make(minutes=0, **fields):
        moments = {"first_seen_at": START, "last_seen_at": START + timedelta(minutes=minutes)}
        return factories.make_failure(**{"workflow": workflow, **moments, **fields})

    return make


@pytest.fixture
def group(make_group):
    return make_group(minutes=1)


@pytest.fixture
def failed(workflow, group):
    return factories.make_run(workflow=workflow, status="failed", failure_id=group.id)


def path(group, action=""):
    return f"/v1/failures/{group.id}{action}"


def test_it_works(client, group, workflow):
    answer = client.get("/v1/failures").expect(200)

    assert answer.data == [
        {
            "id": str(group.id),
            "project_id": str(workflow.project_id),
            "workflow_id": str(workflow.id),
            "workflow_name": workflow.name,
            "node_id": "load",
            "code": "timeout",
            "message": "waited <n> s",
            "status": "open",
            "count": 3,
            "first_seen": "2026-01-01T12:00:00.000000Z",
            "last_seen": "2026-01-01T12:01:00.000000Z",
            "resolved_at": None,
            "sample_run_id": str(group.sample_run_id),
        }
    ]
    one = client.get(path(group)).expect(200)
    assert one.data == answer.data[0]
    client.get(path(group), headers={"If-None-Match": one.headers["ETag"]}).expect(304)


def test_the_newest_come_first_and_pages_join(client, make_group):
    groups = [make_group(minutes=minute) for minute in (2, 5, 1, 4, 3)]
    newest_first = [str(each.id) for each in sorted(groups, key=lambda each: each.last_seen_at, reverse=True)]

    seen, cursor = [], {}
    while True:
        page = client.get("/v1/failures", limit=2, **cursor).expect(200)
        seen += [row["id"] for row in page.data]
        if not page.meta["has_more"]:
            break
        cursor = {"cursor": page.meta["cursor"]}

    assert seen == newest_first


def test_filters(client, make_group, project):
    other = factories.make_workflow(project=project)
    first, second = make_group(status="resolved"), make_group(workflow=other, node_id="")

    def found(**query):
        return [row["id"] for row in client.get("/v1/failures", **query).expect(200).data]

    assert found(status="resolved") == [str(first.id)]
    assert found(workflow_id=str(other.id)) == [str(second.id)]
    assert len(found(project_id=str(project.id))) == 2
    assert client.get(path(second)).data["node_id"] is None
    client.get("/v1/failures", project_id=str(new_id())).expect(404)
    client.get("/v1/failures", workflow_id=str(new_id())).expect(404)
    client.get("/v1/failures", status="odd").expect(400)
    client.get("/v1/failures", stat="open").expect(400)


def test_a_page_takes_one_query_however_many_runs_there_are(client, make_group, own_queries, workflow):
    for minute in range(5):
        factories.make_run(workflow=workflow, status="failed", failure_id=make_group(minutes=minute).id)
    client.get("/v1/failures")

    with own_queries:
        client.get("/v1/failures").expect(200)

    assert [sql for sql in own_queries.statements if "runs_run" in sql] == []
    assert len([sql for sql in own_queries.statements if "runs_failuregroup" in sql]) == 1


def test_retry(client, group, failed):
    answer = client.post(path(group, ":retry")).expect(200)

    assert (answer.data["matched"], answer.data["done"], answer.data["skipped"]) == (1, 1, 0)
    failed.refresh_from_db()
    assert (failed.status, failed.attempt, failed.failure_id) == ("running", 2, None)
    assert client.post(path(group, ":retry")).expect(200).data["matched"] == 0


def test_resolve(client, group):
    first = client.post(path(group, ":resolve")).expect(200)

    assert first.data["status"] == "resolved"
    assert client.get(path(group)).data == first.data
    assert client.post(path(group, ":resolve")).expect(200).data == first.data


@pytest.mark.parametrize("action", [":retry", ":resolve"])
def test_it_rejects_those_who_may_not_write(group, failed, action, client_with, client_as, stranger, anonymous):
    client_as("viewer").post(path(group, action)).expect(403)
    client_with("runs:read").post(path(group, action)).expect(403)
    stranger.post(path(group, action)).expect(404)
    anonymous.post(path(group, action)).expect(401)
    client_as("operator").post(path(group, action)).expect(200)


def test_it_rejects_those_who_may_not_read(group, client_with, client_as, stranger, anonymous):
    client_with("workflows:read").get("/v1/failures").expect(403)
    client_with("workflows:read").get(path(group)).expect(403)
    stranger.get(path(group)).expect(404)
    assert stranger.get("/v1/failures").expect(200).data == []
    anonymous.get("/v1/failures").expect(401)
    assert len(client_as("viewer").get("/v1/failures").expect(200).data) == 1


@pytest.mark.parametrize("action", [":retry", ":resolve"])
def test_it_rejects_what_makes_no_sense(client, group, action):
    client.post(f"/v1/failures/{new_id()}{action}").expect(404)
    client.get(path(group, action)).expect(405)
    assert client.post(path(group, action), {"x": 1}).expect(422).pointers == {"/x": "unknown_field"}
