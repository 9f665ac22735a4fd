"""GET, PUT, PATCH and DELETE of /v1/workflows/{id}."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test.utils import CaptureQueriesContext

from flowforge.core.ids import new_id
from flowforge.projects.models import Project
from tests import factories
from tests.apps.workflows.conftest import FakeRuns, chain, count, step
from tests.support.api import ApiClient
from workflows.models import Workflow


def stored(workflow: Workflow) -> Workflow:
    return Workflow.objects.get(pk=workflow.pk)


# --- GET ----------------------------------------------------------------------------------------------------------


def test_it_works(
    client: ApiClient, workflow: Workflow, path: str, query_counter: Callable[[], CaptureQueriesContext]
) -> None:
    client.get(path).expect(200)
    with query_counter() as queries:
        data = client.get(path).expect(200).data
    assert count(queries) == 3  # its current version, its newest run, what freezes it
    assert (data["id"], data["name"], data["version"]) == (str(workflow.pk), "Daily import", 1)
    assert [node["id"] for node in data["nodes"]] == ["a", "b"]


def test_if_none_match_saves_the_body(client: ApiClient, workflow: Workflow, path: str, runs: FakeRuns) -> None:
    tag = client.get(path).headers["ETag"]
    same = client.get(path, headers={"If-None-Match": tag}).expect(304)
    assert same.body == b""
    runs.last[workflow.pk] = (new_id(), "running")
    client.get(path, headers={"If-None-Match": tag}).expect(200)  # a run is part of what is shown


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_it_rejects_who_may_not(
    method: str,
    path: str,
    client_with: Callable[..., ApiClient],
    client_as: Callable[..., ApiClient],
    stranger: ApiClient,
    anonymous: ApiClient,
    workflow: Workflow,
) -> None:
    body: list[Any] = [{"name": "Changed"}] if method in ("put", "patch") else []
    allowed = 204 if method == "delete" else 200
    getattr(stranger, method)(path, *body).expect(404)
    getattr(anonymous, method)(path, *body).expect(401)
    getattr(client_with("runs:write"), method)(path, *body).expect(403)
    getattr(client_as("operator"), method)(path, *body).expect(200 if method == "get" else 403)
    assert stored(workflow).name == "Daily import"
    getattr(client_as("editor"), method)(path, *body).expect(allowed)


def test_a_right_in_one_project_is_none_in_another(
    client_as: Callable[..., ApiClient], workflow: Workflow, path: str, other_project: Project
) -> None:
    viewer_here = client_as("viewer")
    other_project.memberships.create(user=workflow.project.members.get(), role="owner")
    viewer_here.get(path).expect(200)
    viewer_here.patch(path, {"name": "Changed"}).expect(403)
    viewer_here.put(path, {"name": "Changed"}).expect(403)
    viewer_here.delete(path).expect(403)
    viewer_here.post(f"{path}:rollback", {"version": 1}).expect(403)
    viewer_here.post(f"/v1/projects/{workflow.project_id}/workflows", {"name": "x"}).expect(403)
    viewer_here.post(f"{path}:duplicate", {}).expect(403)
    viewer_here.post(f"{path}:duplicate", {"project_id": str(other_project.pk)}).expect(201)


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_it_rejects_ids_of_nothing(client: ApiClient, method: str) -> None:
    arguments: list[Any] = [{}] if method == "patch" else []
    for text in (factories.unknown_id(), "not-an-id", f"{factories.unknown_id()}:frobnicate"):
        assert getattr(client, method)(f"/v1/workflows/{text}", *arguments).expect(404).code == "not_found"


# --- PATCH --------------------------------------------------------------------------------------------------------


def test_patch_changes_what_is_given_alone(client: ApiClient, workflow: Workflow, path: str) -> None:
    before = client.get(path).data
    data = client.patch(path, {"description": "New", "tags": []}).expect(200).data
    assert data == before | {"description": "New", "tags": [], "updated_at": data["updated_at"]}
    assert data["updated_at"] > before["updated_at"]
    assert client.get(path).data == data


def test_patch_replaces_a_part_of_the_definition_whole(client: ApiClient, path: str) -> None:
    data = client.patch(path, {"definition": {"config": {"priority": 3}}}).expect(200).data
    assert (data["version"], data["config"]) == (2, {"priority": 3})
    assert [node["id"] for node in data["nodes"]] == ["a", "b"]
    data = client.patch(path, {"nodes": [step("c")], "edges": []}).expect(200).data
    assert data["version"] == 3
    assert [node["id"] for node in data["nodes"]] == ["c"]
    assert data["config"] == {"priority": 3}


def test_patch_with_tasks_replaces_the_graph(client: ApiClient, path: str) -> None:
    tasks = [{"name": "t", "type": "transform", "payload": {"values": {}}}]
    data = client.patch(path, {"tasks": tasks}).expect(200).data
    assert [node["id"] for node in data["nodes"]] == ["t"]
    assert data["edges"] == []


def test_the_same_definition_makes_no_version(client: ApiClient, workflow: Workflow, path: str) -> None:
    before = client.get(path).data
    data = client.patch(path, chain("a", "b")).expect(200).data
    assert data == before
    assert workflow.versions.count() == 1


def test_patch_rejects_what_does_not_fit_the_rest(client: ApiClient, workflow: Workflow, path: str) -> None:
    refused = client.patch(path, {"nodes": [step("a")]}).expect(422)
    assert refused.pointers == {"/edges/0/target": "unknown_node"}
    refused = client.patch(path, {"definition": {"nodes": [step("a")]}}).expect(422)
    assert refused.pointers == {"/definition/edges/0/target": "unknown_node"}
    assert workflow.versions.count() == 1


@pytest.mark.parametrize("body", [{"project_id": "x"}, {"version": 7}, {"nam": "x"}, {"name": ""}, {"name": None}])
def test_patch_rejects_what_cannot_be_written(client: ApiClient, path: str, body: dict[str, Any]) -> None:
    [pointer] = client.patch(path, body).expect(422).pointers
    assert pointer == f"/{next(iter(body))}"


@pytest.mark.parametrize("method", ["patch", "put"])
def test_a_fault_beside_the_definition_hides_none_within(client: ApiClient, path: str, method: str) -> None:
    body = {"name": "", "edges": [{"source": "z", "target": "b"}]}
    found = getattr(client, method)(path, body).expect(422).pointers
    assert found["/name"] == "blank"
    assert found["/edges/0/source"] == "unknown_node"
    assert ("/edges/0/target" in found) is (method == "put")  # PATCH keeps the stored nodes


def test_patch_archives_and_brings_back(client: ApiClient, workflow: Workflow, path: str, runs: FakeRuns) -> None:
    runs.live[workflow.pk] = 2
    assert client.patch(path, {"status": "ARCHIVED"}).expect(409).json["live_runs"] == 2
    runs.live.clear()
    assert client.patch(path, {"status": "archived"}).expect(200).data["status"] == "archived"
    assert client.patch(path, {"status": "active"}).expect(200).data["status"] == "active"


# --- PUT ----------------------------------------------------------------------------------------------------------


def test_put_replaces_everything(client: ApiClient, path: str) -> None:
    client.patch(path, {"description": "x", "status": "paused", "config": {"priority": 1}}).expect(200)
    data = client.put(path, {"name": "New", "definition": chain("z")}).expect(200).data
    assert (data["name"], data["description"], data["status"], data["tags"]) == ("New", "", "active", [])
    assert (data["version"], data["config"], data["edges"]) == (3, {}, [])


def test_put_rejects_a_missing_name(client: ApiClient, path: str) -> None:
    assert client.put(path, chain("z")).expect(422).pointers == {"/name": "required"}


# --- If-Match -----------------------------------------------------------------------------------------------------


def test_if_match_stops_a_lost_update(client: ApiClient, workflow: Workflow, path: str) -> None:
    tag = client.get(path).headers["ETag"]
    newer = client.patch(path, {"name": "First"}, headers={"If-Match": tag}).expect(200).headers["ETag"]
    assert client.patch(path, {"name": "Second"}, headers={"If-Match": tag}).expect(412).code == "precondition_failed"
    client.put(path, {"name": "Second"}, headers={"If-Match": tag}).expect(412)
    client.delete(path, headers={"If-Match": tag}).expect(412)
    client.post(f"{path}:rollback", {"version": 1}, headers={"If-Match": tag}).expect(412)
    client.patch(path, {"name": "Third"}, headers={"If-Match": f"W/{newer}"}).expect(412)
    assert stored(workflow).name == "First"
    client.patch(path, {"name": "Third"}, headers={"If-Match": f'"x", {newer}'}).expect(200)
    client.delete(path, headers={"If-Match": "*"}).expect(204)


def test_a_run_in_between_does_not_stop_an_edit(
    client: ApiClient, workflow: Workflow, path: str, runs: FakeRuns
) -> None:
    tag = client.get(path).headers["ETag"]
    runs.last[workflow.pk] = (new_id(), "running")
    client.patch(path, {"name": "Edited"}, headers={"If-Match": tag}).expect(200)


# --- DELETE -------------------------------------------------------------------------------------------------------


def test_delete_archives(client: ApiClient, workflow: Workflow, path: str, runs: FakeRuns) -> None:
    client.delete(path).expect(204)
    assert client.get(path).expect(200).data["status"] == "archived"
    client.delete(path).expect(204)


def test_delete_refuses_while_runs_are_live(client: ApiClient, workflow: Workflow, path: str, runs: FakeRuns) -> None:
    runs.live[workflow.pk] = 3
    assert client.delete(path).expect(409).code == "conflict"
    client.delete(path, force="maybe").expect(400)
    assert stored(workflow).status == "active"
    client.delete(path, force="true").expect(204)
    assert stored(workflow).status == "archived"
    [(cancelled, actor)] = runs.cancelled_by
    assert cancelled == workflow.pk
    assert actor.startswith("key:")


def test_a_run_of_the_layer_above_counts(client: ApiClient, workflow: Workflow, path: str) -> None:
    run = factories.make_run(workflow=workflow, status="running")
    data = client.get(path).expect(200).data
    assert (data["last_run_id"], data["last_run_status"]) == (str(run.pk), "running")
    client.delete(path).expect(409)


def test_it_rejects_changes_in_an_archived_project(
    client_as: Callable[..., ApiClient], workflow: Workflow, path: str
) -> None:
    owner = client_as("owner")
    Project.objects.filter(pk=workflow.project_id).update(status=Project.Status.ARCHIVED)
    owner.get(path).expect(200)
    owner.patch(path, {"name": "Changed"}).expect(409)
    owner.post(f"{path}:rollback", {"version": 1}).expect(409)
    owner.post(f"{path}:duplicate", {}).expect(409)
    owner.delete(path).expect(409)


def test_another_projects_workflow_stays(stranger: ApiClient, workflow: Workflow, other_project: Project) -> None:
    mine = factories.make_workflow(project=other_project)
    stranger.delete(f"/v1/workflows/{mine.pk}").expect(204)
    stranger.delete(f"/v1/workflows/{workflow.pk}").expect(404)
    assert stored(workflow).status == "active"
