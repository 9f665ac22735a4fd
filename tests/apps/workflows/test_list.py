"""GET /v1/workflows and /v1/projects/{id}/workflows."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test.utils import CaptureQueriesContext

from flowforge.core.ids import new_id
from flowforge.projects.models import Project
from tests import factories
from tests.apps.workflows.conftest import FakeRuns, chain, count
from tests.support.api import Answer, ApiClient
from workflows.models import Workflow

URL = "/v1/workflows"


def names(answer: Answer) -> list[str]:
    return [row["name"] for row in answer.expect(200).data]


def test_it_works(client: ApiClient, workflow: Workflow, runs: FakeRuns) -> None:
    run_id = new_id()
    runs.last[workflow.pk] = (run_id, "completed")
    answer = client.get(URL).expect(200)
    assert answer.meta == {"cursor": None, "has_more": False}
    [row] = answer.data
    assert set(row) == {
        *("id", "project_id", "name", "description", "status", "version", "tags"),
        *("last_run_id", "last_run_status", "freeze", "created_at", "updated_at", "output"),
    }
    assert (row["id"], row["tags"], row["version"]) == (str(workflow.pk), ["finance"], 1)
    assert (row["last_run_id"], row["last_run_status"]) == (str(run_id), "completed")


def test_expand_brings_the_definitions(client: ApiClient, workflow: Workflow) -> None:
    [row] = client.get(URL, expand="definition").expect(200).data
    assert [node["id"] for node in row["nodes"]] == ["a", "b"]
    assert row["edges"] == [{"source": "a", "target": "b"}]
    assert row["config"] == {}


@pytest.mark.parametrize("query", [{}, {"expand": "definition"}])
def test_the_number_of_queries_does_not_grow(
    client: ApiClient, project: Project, query_counter: Callable[[], CaptureQueriesContext], query: dict[str, str]
) -> None:
    client.get(URL, **query).expect(200)  # the key is known from then on
    counts = []
    for _ in range(2):
        for _ in range(5):
            factories.make_workflow(project=project)
        with query_counter() as queries:
            client.get(URL, limit=100, **query).expect(200)
        counts.append(count(queries))
    assert counts == [4] * 2  # the rows, their newest runs, their definitions, what freezes them


@pytest.mark.parametrize("output", [None, {"n": "{{ steps.a.output }}"}, "{{ 1 }}", "1", "true", 1, True, ["x"], {}])
def test_the_output_is_shown_as_it_was_written(client: ApiClient, project: Project, output: Any) -> None:
    factories.make_workflow(project=project, definition={**chain("a"), "output": output})
    [row] = client.get(URL).expect(200).data
    assert row["output"] == output
    assert type(row["output"]) is type(output)


def test_cursor_paging_goes_through_all_newest_first(client: ApiClient, project: Project) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    made = [factories.make_workflow(project=project, created_at=moment) for _ in range(5)]
    seen: list[str] = []
    cursor: dict[str, Any] = {}
    for _ in range(3):
        answer = client.get(URL, limit=2, **cursor).expect(200)
        seen += [row["id"] for row in answer.data]
        cursor = {"cursor": answer.meta["cursor"]}
    assert seen == sorted((str(one.pk) for one in made), reverse=True)
    assert answer.meta == {"cursor": None, "has_more": False}


def test_numbered_paging(client: ApiClient, project: Project) -> None:
    for _ in range(3):
        factories.make_workflow(project=project)
    answer = client.get(URL, page=2, limit=2, status="ACTIVE").expect(200)
    assert answer.meta == {"total": 3, "page": 2, "limit": 2, "total_pages": 2}
    assert len(answer.data) == 1


def test_filters(client: ApiClient, project: Project) -> None:
    old = datetime(2026, 1, 1, tzinfo=UTC)
    factories.make_workflow(project=project, name="Daily import", tags=["finance", "é"], updated_at=old)
    factories.make_workflow(project=project, name="Daily export", tags=["financeX"], status="paused")
    factories.make_workflow(project=project, name="Old", status="archived", tags=[])
    assert names(client.get(URL, status="paused")) == ["Daily export"]
    assert names(client.get(URL, status="ARCHIVED")) == ["Old"]
    assert names(client.get(URL, name="DAILY")) == ["Daily export", "Daily import"]
    assert names(client.get(URL, tag="finance")) == ["Daily import"]
    assert names(client.get(URL, tag="é")) == ["Daily import"]
    assert names(client.get(URL, tag='["finance"]')) == []
    assert names(client.get(URL, updated_after=(old + timedelta(seconds=1)).isoformat())) == ["Old", "Daily export"]
    assert names(client.get(URL, project_id=str(project.pk), name="old")) == ["Old"]


@pytest.mark.parametrize(
    "query",
    [
        {"status": "gone"},
        {"updated_after": "yesterday"},
        {"project_id": "x"},
        {"expand": "nodes"},
        {"limit": 0},
        {"limit": 101},
        {"cursor": "x"},
        {"unknown": 1},
    ],
)
def test_it_rejects_queries_it_does_not_know(client: ApiClient, query: dict[str, Any]) -> None:
    client.get(URL, **query).expect(400)


def test_nested_under_its_project(
    client_as: Callable[..., ApiClient], client: ApiClient, workflow: Workflow, other_project: Project
) -> None:
    nested = f"/v1/projects/{workflow.project_id}/workflows"
    assert names(client.get(nested)) == ["Daily import"]
    client.get(f"/v1/projects/{other_project.pk}/workflows").expect(404)
    client.get(f"/v1/projects/{factories.unknown_id()}/workflows").expect(404)


def test_who_sees_what(
    client_as: Callable[..., ApiClient],
    client_with: Callable[..., ApiClient],
    stranger: ApiClient,
    anonymous: ApiClient,
    workflow: Workflow,
    other_project: Project,
) -> None:
    assert names(client_as("viewer").get(URL)) == ["Daily import"]
    assert names(stranger.get(URL)) == []
    stranger.get(URL, project_id=str(workflow.project_id)).expect(404)
    client_with("runs:read").get(URL).expect(403)
    anonymous.get(URL).expect(401)


def test_a_member_of_two_projects_sees_both(
    client: ApiClient, workflow: Workflow, other_project: Project, client_as: Callable[..., ApiClient]
) -> None:
    both = client_as("viewer")
    user = workflow.project.members.get()
    other_project.memberships.create(user=user, role="viewer")
    theirs = factories.make_workflow(project=other_project, name="Theirs")
    factories.make_workflow(project=factories.make_project(), name="Nobody's")
    assert set(names(both.get(URL))) == {"Daily import", "Theirs"}
    assert names(both.get(URL, project_id=str(theirs.project_id))) == ["Theirs"]
