"""GET /v1/workflows/{id}/export and POST /v1/workflows:import."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from flowforge.projects.models import Project
from tests.apps.workflows.conftest import chain, step
from tests.support.api import Answer, ApiClient
from workflows.models import Workflow, WorkflowVersion

IMPORT = "/v1/workflows:import"
YAML = """
definitions:
  - name: First
    tags: [finance]
    definition:
      nodes:
        - {id: a, type: condition, config: {expression: "{{ inputs.x > 1 }}"}}
        - {id: b, type: transform, config: {values: {x: "{{ 1 }}"}}}
      edges:
        - {source: a, target: b, on: success, when: true}
  - name: Second
    status: paused
    nodes: []
"""


def upload(
    client: ApiClient, name: str, content: bytes, field: str = "file", content_type: str = "text/plain"
) -> Answer:
    body = (
        (
            f'--x\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
            f"Content-Type: {content_type}\r\n\r\n"
        ).encode()
        + content
        + b"\r\n--x--\r\n"
    )
    return client.request("POST", IMPORT, body, content_type="multipart/form-data; boundary=x")


def by_yaml(client: ApiClient, text: str, content_type: str = "application/yaml") -> Answer:
    return client.request("POST", IMPORT, text.encode(), content_type=content_type)


def actions(answer: Answer) -> dict[str, str]:
    return {row["name"]: row["action"] for row in answer.expect(200).data}


# --- export -------------------------------------------------------------------------------------------------------


def test_it_works(client: ApiClient, path: str, workflow: Workflow) -> None:
    client.patch(path, {"description": "Two\nlines", "config": {"timeout": "1h", "priority": 1}}).expect(200)
    answer = client.get(f"{path}/export").expect(200)
    assert answer.headers["Content-Type"] == "application/yaml"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="daily-import.yaml"'
    text = answer.body.decode()
    assert text.startswith("name: Daily import\ndescription: |-\n  Two\n  lines\ntags:\n")
    found = yaml.safe_load(text)
    assert list(found) == ["name", "description", "tags", "status", "definition"]
    assert list(found["definition"]) == ["config", "nodes", "edges"]
    assert found["definition"]["nodes"] == chain("a", "b")["nodes"]


def test_export_as_json(client: ApiClient, path: str) -> None:
    answer = client.get(f"{path}/export", format="json").expect(200)
    assert answer.headers["Content-Disposition"].endswith('filename="daily-import.json"')
    assert answer.json["definition"]["edges"] == [{"source": "a", "target": "b"}]


def test_export_rejects_who_may_not(
    client: ApiClient,
    client_as: Callable[..., ApiClient],
    client_with: Callable[..., ApiClient],
    stranger: ApiClient,
    anonymous: ApiClient,
    path: str,
) -> None:
    client_as("viewer").get(f"{path}/export").expect(200)
    client_with("runs:read").get(f"{path}/export").expect(403)
    stranger.get(f"{path}/export").expect(404)
    anonymous.get(f"{path}/export").expect(401)
    client.get(f"{path}/export", format="xml").expect(400)


@pytest.mark.parametrize("file_format", ["yaml", "json"])
def test_what_was_exported_imports_as_unchanged(
    client: ApiClient, path: str, workflow: Workflow, file_format: str
) -> None:
    client.patch(path, {"description": "no", "tags": ["on", "1e3", "2026-01-01"], "status": "paused"}).expect(200)
    content = client.get(f"{path}/export", format=file_format).body
    before = client.get(path).data
    assert actions(upload(client, f"x.{file_format}", content)) == {"Daily import": "unchanged"}
    assert client.get(path).data == before


# --- import -------------------------------------------------------------------------------------------------------


def test_import_creates_then_changes_nothing(client: ApiClient, project: Project) -> None:
    answer = by_yaml(client, YAML).expect(200)
    assert [(row["name"], row["action"], row["version"]) for row in answer.data] == [
        ("First", "created", 1),
        ("Second", "created", 1),
    ]
    rows = list(Workflow.objects.values())
    first = client.get(f"/v1/workflows/{answer.data[0]['id']}").data
    assert first["tags"] == ["finance"]
    assert first["edges"] == [{"source": "a", "target": "b", "on": "success", "when": True}]
    assert actions(by_yaml(client, YAML)) == {"First": "unchanged", "Second": "unchanged"}
    assert list(Workflow.objects.values()) == rows
    assert WorkflowVersion.objects.count() == 2


def test_import_updates_by_name_and_keeps_what_the_file_leaves_out(
    client: ApiClient, workflow: Workflow, path: str
) -> None:
    client.patch(path, {"config": {"priority": 1}}).expect(200)
    body = {"definitions": [{"name": "Daily import", **chain("a", "c")}, {"name": "New", "tags": []}]}
    answer = client.post(IMPORT, body).expect(200)
    assert [(row["action"], row["version"]) for row in answer.data] == [("updated", 3), ("created", 1)]
    data = client.get(path).data
    assert data["tags"] == ["finance"]
    assert data["config"] == {}  # a definition is replaced whole


@pytest.mark.parametrize("content_type", ["application/yaml", "text/yaml", "application/x-yaml", "application/json"])
def test_import_takes_one_entry_or_a_list(client: ApiClient, content_type: str) -> None:
    one = json.dumps({"name": "One", **chain("a")})
    assert actions(by_yaml(client, one, content_type)) == {"One": "created"}
    assert actions(by_yaml(client, f"[{one}]", content_type)) == {"One": "unchanged"}


def test_import_is_all_or_nothing(client: ApiClient) -> None:
    wrong = {"name": "Wrong", "definition": {"nodes": [step("a"), {"id": "b", "type": "nope"}]}}
    body = {
        "definitions": [
            {"name": "Good", **chain("a")},
            wrong,
            {"name": "Good"},
            {"status": "gone", "x": 1},
            {"name": "T", "tasks": [{"name": "t", "type": "nope"}]},
            7,
        ]
    }
    refused = client.post(IMPORT, body).expect(422)
    assert (
        refused.pointers.items()
        >= {
            "/definitions/1/definition/nodes/1/type": "unknown_type",
            "/definitions/2/name": "duplicate_name",
            "/definitions/3/x": "unknown_field",
            "/definitions/4/tasks/0/type": "unknown_type",
            "/definitions/5": "type",
        }.items()
    ), refused
    assert not Workflow.objects.exists()


def test_import_rejects_a_name_that_means_several(client: ApiClient, workflow: Workflow, path: str) -> None:
    twin = client.post(f"{path}:duplicate", {"name": "Daily import"}).expect(201).data
    refused = client.post(IMPORT, {"definitions": [{"name": "Daily import"}]}).expect(422)
    assert refused.pointers == {"/definitions/0/name": "ambiguous_name"}
    client.delete(f"/v1/workflows/{twin['id']}").expect(204)
    answer = client.post(IMPORT, {"definitions": [{"name": "Daily import", **chain("z")}]}).expect(200)
    assert answer.data[0]["id"] == str(workflow.pk)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("a: [", 400),
        ("name: x\nname: y", 400),
        ("", 400),
        ("[" * 100, 400),
        ("a: &a [x, *a]", 400),
        ("name: !!python/name:os.system x", 400),
        ("just text", 422),
        ('name: " "', 422),
        ("definitions: []\nmore: 1", 422),
        (json.dumps([{"name": str(n)} for n in range(501)]), 422),
    ],
)
def test_import_rejects_text_that_is_no_file_of_ours(client: ApiClient, text: str, status: int) -> None:
    by_yaml(client, text).expect(status)
    assert not Workflow.objects.exists()


def test_import_by_upload(client: ApiClient) -> None:
    assert actions(upload(client, "flows.yaml", YAML.encode())) == {"First": "created", "Second": "created"}
    content = json.dumps({"name": "J", **chain("a")}).encode()
    assert actions(upload(client, "flow.json", content)) == {"J": "created"}
    assert actions(upload(client, "flow", content, content_type="application/json")) == {"J": "unchanged"}


def test_import_rejects_uploads_that_are_none(client: ApiClient) -> None:
    assert upload(client, "x.yaml", b"", field="files").expect(422).pointers == {"/files": "unknown_field"}
    upload(client, "x.json", b"{nope}").expect(400)
    upload(client, "x.yaml", b"").expect(400)
    empty = client.request("POST", IMPORT, b"--x--\r\n", content_type="multipart/form-data; boundary=x")
    assert empty.expect(422).pointers == {"/file": "required"}
    assert client.request("POST", IMPORT, b"x", content_type="text/csv").expect(415).code == "unsupported_media_type"


def test_import_says_which_project(
    client_as: Callable[..., ApiClient], client: ApiClient, project: Project, other_project: Project
) -> None:
    client.request(
        "POST", IMPORT, YAML.encode(), content_type="application/yaml", query={"project_id": project.pk}
    ).expect(200)
    body: dict[str, Any] = {"definitions": [{"name": "x"}], "project_id": str(other_project.pk)}
    assert client.post(IMPORT, body).expect(422).pointers == {"/project_id": "not_found"}


def test_import_rejects_who_may_not(
    client_as: Callable[..., ApiClient], client_with: Callable[..., ApiClient], anonymous: ApiClient
) -> None:
    body = {"definitions": [{"name": "x"}]}
    client_as("operator").post(IMPORT, body).expect(403)
    client_with("workflows:read").post(IMPORT, body).expect(403)
    anonymous.post(IMPORT, body).expect(401)
    assert not Workflow.objects.exists()


def test_names_match_within_the_project_alone(stranger: ApiClient, workflow: Workflow) -> None:
    answer = stranger.post(IMPORT, {"definitions": [{"name": "Daily import"}]}).expect(200)
    assert answer.data[0]["action"] == "created"
    assert answer.data[0]["id"] != str(workflow.pk)


def test_the_same_idempotency_key_answers_the_same(client: ApiClient) -> None:
    headers = {"Idempotency-Key": "i"}
    body = {"definitions": [{"name": "x"}]}
    client.post(IMPORT, body, headers=headers).expect(200)
    again = client.post(IMPORT, body, headers=headers).expect(200)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert actions(again) == {"x": "created"}
