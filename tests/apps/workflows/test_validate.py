"""POST /v1/workflows:validate and /v1/workflows/{id}:validate."""

from collections.abc import Callable

from flowforge.projects.models import Project
from tests.apps.workflows.conftest import chain, step
from tests.support.api import ApiClient
from workflows.models import Workflow, WorkflowVersion

URL = "/v1/workflows:validate"


def test_it_works(client: ApiClient) -> None:
    assert client.post(URL, chain("a", "b")).expect(200).data == {"valid": True, "errors": [], "warnings": []}
    assert not Workflow.objects.exists()


def test_it_names_every_fault_in_every_form(client: ApiClient) -> None:
    graph = {"nodes": [step("a"), {"id": "b", "type": "nope"}], "edges": [{"source": "a", "target": "a"}]}
    found = client.post(URL, graph).expect(200).data
    assert found["valid"] is False
    assert [fault["pointer"] for fault in found["errors"]] == ["/edges/0", "/nodes/1/type"]
    assert set(found["errors"][0]) == {"pointer", "code", "detail"}
    found = client.post(URL, {"definition": graph}).expect(200).data
    assert [fault["pointer"] for fault in found["errors"]] == ["/definition/edges/0", "/definition/nodes/1/type"]
    found = client.post(URL, {"tasks": [{"name": "a", "type": "nope"}]}).expect(200).data
    assert [fault["pointer"] for fault in found["errors"]] == ["/tasks/0/type"]
    found = client.post(URL, {"tasks": [], "nodes": []}).expect(200).data
    assert found["errors"][0]["code"] == "mixed_forms"


def test_it_warns(client: ApiClient) -> None:
    found = client.post(URL, {"definition": {"nodes": []}}).expect(200).data
    assert found["valid"] is True
    assert [fault["pointer"] for fault in found["warnings"]] == ["/definition/nodes"]


def test_a_saved_workflow_with_a_change(client: ApiClient, path: str) -> None:
    assert client.post(f"{path}:validate").expect(200).data["valid"] is True
    assert client.post(f"{path}:validate", {}).expect(200).data["valid"] is True
    found = client.post(f"{path}:validate", {"nodes": [step("a")]}).expect(200).data
    assert [fault["pointer"] for fault in found["errors"]] == ["/edges/0/target"]
    assert WorkflowVersion.objects.count() == 1


def test_it_rejects_bodies_that_are_no_definition(client: ApiClient, path: str, other_project: Project) -> None:
    assert client.post(URL, {"nodez": []}).expect(422).pointers == {"/nodez": "unknown_field"}
    assert client.post(f"{path}:validate", {"name": "x"}).expect(422).pointers == {"/name": "unknown_field"}
    client.request("POST", URL, b"{", content_type="application/json").expect(400)
    named = client.post(URL, {"project_id": str(other_project.pk)}).expect(422)
    assert named.pointers == {"/project_id": "not_found"}


def test_it_rejects_who_may_not(
    client_as: Callable[..., ApiClient],
    client_with: Callable[..., ApiClient],
    stranger: ApiClient,
    anonymous: ApiClient,
    path: str,
) -> None:
    client_as("viewer").post(URL, chain("a")).expect(200)
    client_as("viewer").post(f"{path}:validate").expect(200)
    client_with("runs:read").post(URL, {}).expect(403)
    client_with("runs:read").post(f"{path}:validate").expect(403)
    stranger.post(f"{path}:validate").expect(404)
    anonymous.post(URL, {}).expect(401)
    anonymous.post(f"{path}:validate").expect(401)
