"""POST /v1/workflows and /v1/projects/{id}/workflows."""

from collections.abc import Callable
from typing import Any

import pytest

from flowforge.projects.models import Project
from tests import factories
from tests.apps.workflows.conftest import chain, step
from tests.support.api import ApiClient
from workflows.models import Workflow, WorkflowVersion

URL = "/v1/workflows"


def test_it_works(client: ApiClient, project: Project) -> None:
    body = {
        "name": "Daily import",
        "description": "Every day",
        "tags": ["finance", "daily", "finance"],
        **chain("a", "b"),
        "config": {"timeout": "1h"},
        "input_schema": {"type": "object", "properties": {"day": {"type": "string"}}},
        "output": {"rows": "{{ steps.b.output.answer }}"},
    }
    answer = client.post(URL, body).expect(201)
    assert answer.headers["Location"] == f"/v1/workflows/{answer.data['id']}"
    assert answer.headers["ETag"]
    assert set(answer.data) == {
        *("id", "project_id", "name", "description", "status", "version", "nodes", "edges", "config", "input_schema"),
        *("output", "tags", "last_run_id", "last_run_status", "freeze", "created_at", "updated_at"),
    }
    expected = body | {"project_id": str(project.pk), "status": "active", "version": 1, "tags": ["finance", "daily"]}
    assert {name: answer.data[name] for name in expected} == expected
    assert answer.data["last_run_id"] is None
    assert answer.data["created_at"].endswith("Z")
    assert client.get(answer.headers["Location"]).expect(200).data == answer.data


def test_it_takes_the_definition_as_one_field(client: ApiClient) -> None:
    data = client.post(URL, {"name": "x", "definition": {"nodes": [], "edges": []}}).expect(201).data
    assert (data["nodes"], data["edges"], data["config"]) == ([], [], {})
    assert "definition" not in data


def test_it_takes_flowctl_tasks(client: ApiClient) -> None:
    values = {"values": {"x": "{{ 1 }}"}}
    tasks = [
        {"name": "extract data", "type": "transform", "payload": values, "priority": 2},
        {"name": "load", "type": "transform", "payload": values, "dependencies": ["extract data"], "max_retries": 1},
    ]
    data = client.post(URL, {"name": "x", "tasks": tasks}).expect(201).data
    assert [node["name"] for node in data["nodes"]] == ["extract data", "load"]
    assert [node["retry"]["max_attempts"] for node in data["nodes"]] == [4, 2]
    first, second = (node["id"] for node in data["nodes"])
    assert data["edges"] == [{"source": first, "target": second}]


def test_the_run_policy_replaces_flowctls_three_retries(client: ApiClient) -> None:
    tasks = [{"name": "a", "type": "transform", "payload": {"values": {}}}]
    config = {"retry_policy": {"max_attempts": 2}}
    data = client.post(URL, {"name": "x", "tasks": tasks, "config": config}).expect(201).data
    assert "retry" not in data["nodes"][0]


def test_upper_case_status_is_accepted(client: ApiClient) -> None:
    assert client.post(URL, {"name": "x", "status": "PAUSED"}).expect(201).data["status"] == "paused"


def test_nested_under_its_project(client: ApiClient, project: Project) -> None:
    answer = client.post(f"/v1/projects/{project.pk}/workflows", {"name": "x", **chain("a")}).expect(201)
    assert answer.data["project_id"] == str(project.pk)


def test_the_same_idempotency_key_creates_once(client: ApiClient) -> None:
    headers = {"Idempotency-Key": "k1"}
    first = client.post(URL, {"name": "x"}, headers=headers).expect(201)
    again = client.post(URL, {"name": "x"}, headers=headers).expect(201)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.data == first.data
    assert Workflow.objects.count() == 1
    client.post(URL, {"name": "y"}, headers=headers).expect(422)


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, {"/name": "required"}),
        ({"name": "x", "nodez": []}, {"/nodez": "unknown_field"}),
        ({"name": "x", "id": "1", "version": 3}, {"/id": "unknown_field", "/version": "unknown_field"}),
        ({"name": "x", "status": "gone"}, {"/status": "invalid_choice"}),
        ({"name": "x", "nodes": [{"id": "a", "type": "nope"}]}, {"/nodes/0/type": "unknown_type"}),
        (
            {"name": "x", "definition": {"nodes": [step("a"), step("a")], "edges": [{"source": "a", "target": "z"}]}},
            {"/definition/nodes/1/id": "duplicate_id", "/definition/edges/0/target": "unknown_node"},
        ),
        ({"name": "x", "definition": {"nodez": []}}, {"/definition/nodez": "unknown_field"}),
        ({"name": "x", "definition": []}, {"/definition": "type"}),
        (
            {"name": "x", "tasks": [{"name": "a", "type": "nope", "dependencies": ["z"]}]},
            {"/tasks/0/type": "unknown_type", "/tasks/0/dependencies/0": "unknown_node"},
        ),
        (
            {"name": "x", "definition": {}, "nodes": [], "tasks": []},
            {"/nodes": "mixed_forms", "/tasks": "mixed_forms"},
        ),
        ({"name": "x", "tasks": [], "edges": []}, {"/edges": "mixed_forms"}),
        ({"name": "x", "nodes": [{"id": "a", "type": "python"}]}, {"/nodes/0/type": "type_not_allowed"}),
    ],
)
def test_it_rejects_what_is_wrong_by_pointer(client: ApiClient, body: Any, pointers: dict[str, str]) -> None:
    found = client.post(URL, body).expect(422).pointers
    assert pointers.items() <= found.items(), found
    assert not Workflow.objects.exists()


def test_a_fault_beside_the_definition_hides_none_within(client: ApiClient, project: Project) -> None:
    body = {"name": "", "oops": 1, "nodes": [{"id": "a", "type": "nope"}], "config": None, "edges": [1]}
    found = client.post(URL, body).expect(422).pointers
    assert found == {
        "/name": "blank",
        "/oops": "unknown_field",
        "/config": "null",
        "/nodes/0/type": "unknown_type",
        "/edges/0": "type",
    }
    assert client.post(f"/v1/projects/{project.pk}/workflows", body).expect(422).pointers == found


def test_it_rejects_more_than_five_mebibytes(client: ApiClient) -> None:
    client.post(URL, {"name": "x", "description": "y" * (5 * 1024 * 1024)}).expect(413)


def test_it_takes_definitions_beyond_the_limit_of_other_bodies(client: ApiClient) -> None:
    client.post(URL, {"name": "x", "nodes": [step("a", text="y" * 1_100_000)]}).expect(201)


def test_a_project_says_which_types_it_allows(client: ApiClient, project: Project) -> None:
    project.settings = {"allowed_step_types": ["python"]}
    project.save(update_fields=["settings"])
    code = {"id": "p", "type": "python", "config": {"code": "def main(): return 1"}}
    client.post(URL, {"name": "x", "nodes": [code]}).expect(201)
    refused = client.post(URL, {"name": "x", "nodes": [code, step("a")]}).expect(422)
    assert refused.pointers == {"/nodes/1/type": "type_not_allowed"}


def test_who_may(
    client_as: Callable[..., ApiClient],
    client_with: Callable[..., ApiClient],
    anonymous: ApiClient,
    project: Project,
) -> None:
    body = {"name": "x"}
    client_as("owner").post(URL, body).expect(201)
    client_as("editor").post(URL, body).expect(201)
    assert client_as("operator").post(URL, body).expect(403).code == "permission_missing"
    client_as("viewer").post(f"/v1/projects/{project.pk}/workflows", body).expect(403)
    client_with("workflows:read", "runs:write").post(URL, body).expect(403)
    anonymous.post(URL, body).expect(401)
    assert Workflow.objects.count() == 2
    assert WorkflowVersion.objects.exclude(created_by=None).count() == 2


def test_another_project_does_not_exist(client: ApiClient, other_project: Project) -> None:
    named = client.post(URL, {"name": "x", "project_id": str(other_project.pk)}).expect(422)
    assert named.pointers == {"/project_id": "not_found"}
    client.post(f"/v1/projects/{other_project.pk}/workflows", {"name": "x"}).expect(404)
    client.post(f"/v1/projects/{factories.unknown_id()}/workflows", {"name": "x"}).expect(404)


def test_path_and_body_must_name_the_same_project(client: ApiClient, project: Project) -> None:
    nested = f"/v1/projects/{project.pk}/workflows"
    refused = client.post(nested, {"name": "x", "project_id": factories.unknown_id()}).expect(422)
    assert refused.pointers == {"/project_id": "contradiction"}


def test_an_archived_project_takes_nothing(client_as: Callable[..., ApiClient], project: Project) -> None:
    owner = client_as("owner")
    project.status = Project.Status.ARCHIVED
    project.save(update_fields=["status"])
    owner.post(URL, {"name": "x"}).expect(409)
