"""POST /v1/workflows/{id}:duplicate."""

from collections.abc import Callable

from flowforge.projects import callers
from flowforge.projects.models import Project
from tests import factories
from tests.apps.workflows.conftest import chain
from tests.support.api import ApiClient
from workflows.models import Workflow


def test_it_works(client: ApiClient, workflow: Workflow, path: str) -> None:
    client.patch(path, {**chain("x"), "status": "paused", "description": "d"}).expect(200)
    answer = client.post(f"{path}:duplicate", {}).expect(201)
    copy = answer.data
    assert answer.headers["Location"] == f"/v1/workflows/{copy['id']}"
    assert copy["id"] != str(workflow.pk)
    assert (copy["name"], copy["version"], copy["status"]) == ("Daily import (copy)", 1, "active")
    assert (copy["description"], copy["tags"], copy["nodes"]) == ("d", ["finance"], chain("x")["nodes"])


def test_it_takes_no_body(client: ApiClient, path: str) -> None:
    assert client.post(f"{path}:duplicate").expect(201).data["name"] == "Daily import (copy)"


def test_a_name_of_full_length_keeps_its_end_free(client: ApiClient, path: str) -> None:
    client.patch(path, {"name": "n" * 200}).expect(200)
    name = client.post(f"{path}:duplicate", {}).expect(201).data["name"]
    assert name == "n" * 193 + " (copy)"


def test_it_copies_into_another_project(
    client_as: Callable[..., ApiClient], workflow: Workflow, path: str, other_project: Project
) -> None:
    editor = client_as("editor")
    body = {"project_id": str(other_project.pk), "name": "Theirs"}
    assert editor.post(f"{path}:duplicate", body).expect(422).pointers == {"/project_id": "not_found"}
    user = workflow.project.members.get()
    membership = other_project.memberships.create(user=user, role="viewer")
    callers.forget()
    editor.post(f"{path}:duplicate", body).expect(403)
    membership.role = "editor"
    membership.save(update_fields=["role"])
    callers.forget()
    copy = editor.post(f"{path}:duplicate", body).expect(201).data
    assert (copy["project_id"], copy["name"]) == (str(other_project.pk), "Theirs")


def test_it_rejects_types_that_the_target_does_not_allow(client: ApiClient, workflow: Workflow, path: str) -> None:
    workflow.project.settings = {"allowed_step_types": ["python"]}
    workflow.project.save(update_fields=["settings"])
    refused = client.post(f"{path}:duplicate", {}).expect(422)
    assert refused.pointers == {"/project_id": "type_not_allowed"}
    assert Workflow.objects.count() == 1


def test_it_rejects_who_may_not(
    client_as: Callable[..., ApiClient],
    client_with: Callable[..., ApiClient],
    stranger: ApiClient,
    anonymous: ApiClient,
    client: ApiClient,
    path: str,
) -> None:
    action = f"{path}:duplicate"
    client_as("operator").post(action, {}).expect(403)
    client_with("workflows:read").post(action, {}).expect(403)
    stranger.post(action, {}).expect(404)
    anonymous.post(action, {}).expect(401)
    client.post(f"/v1/workflows/{factories.unknown_id()}:duplicate", {}).expect(404)
    assert client.post(action, {"nme": "x"}).expect(422).pointers == {"/nme": "unknown_field"}
    assert Workflow.objects.count() == 1


def test_the_same_idempotency_key_copies_once(client: ApiClient, path: str) -> None:
    headers = {"Idempotency-Key": "copy"}
    first = client.post(f"{path}:duplicate", {}, headers=headers).expect(201)
    assert client.post(f"{path}:duplicate", {}, headers=headers).expect(201).data == first.data
    assert Workflow.objects.count() == 2
