"""`/v1/templates`: created, listed, changed, versioned, archived, rendered."""

from collections.abc import Callable
from typing import Any

import pytest

from flowforge.projects.models import Project
from templates_app.models import StepTemplate, StepTemplateVersion
from tests import factories
from tests.apps.templates.conftest import HTTP
from tests.support.api import ApiClient

URL = "/v1/templates"


def test_it_works(client: ApiClient, project: Project) -> None:
    made = client.post(URL, HTTP).expect(201)
    assert made.headers["Location"] == f"{URL}/{made.data['id']}"
    assert made.data == {
        **HTTP,
        "id": made.data["id"],
        "project_id": str(project.pk),
        "description": "",
        "retry": None,
        "timeout": None,
        "version": 1,
        "archived": False,
        "created_at": made.data["created_at"],
        "updated_at": made.data["updated_at"],
    }
    read = client.get(made.headers["Location"]).expect(200)
    assert (read.data, read.headers["ETag"]) == (made.data, made.headers["ETag"])
    client.get(made.headers["Location"], headers={"If-None-Match": read.headers["ETag"]}).expect(304)
    assert client.get(URL).expect(200).data == [made.data]
    assert client.get(f"/v1/projects/{project.pk}/templates").expect(200).data == [made.data]
    nested = client.post(f"/v1/projects/{project.pk}/templates", {**HTTP, "name": "Nested"}).expect(201)
    assert nested.data["project_id"] == str(project.pk)


def test_the_same_key_creates_it_once(client: ApiClient) -> None:
    first = client.post(URL, HTTP, headers={"Idempotency-Key": "k"}).expect(201)
    again = client.post(URL, HTTP, headers={"Idempotency-Key": "k"}).expect(201)
    assert (again.data, again.headers["Idempotent-Replayed"]) == (first.data, "true")
    assert StepTemplate.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        ({"name": ""}, {"/name": "blank"}),
        ({"name": "01981f5e-0000-7000-8000-000000000009"}, {"/name": "invalid"}),
        ({"typ": "http"}, {"/typ": "unknown_field"}),
        ({"archived": True}, {"/archived": "unknown_field"}),
        ({"step_type": "htp"}, {"/step_type": "unknown_type"}),
        ({"step_type": "generic", "config": {"command": "true"}}, {"/step_type": "type_not_allowed"}),
        ({"config": []}, {"/config": "invalid"}),
        ({"config": {"method": "GET", "url": "https://x", "typo": 1}}, {"/config/typo": "additional_properties"}),
        ({"config": {"method": 5, "url": "https://x"}}, {"/config/method": "enum"}),
        ({"config": {"url": "https://x/{{ parameters.day"}}, {"/config/url": "expression_syntax"}),
        ({"config": {"url": "https://x/{{ parameters.dya }}"}}, {"/config/url": "unknown_parameter"}),
        ({"config": {"url": "https://x/{{ nothing.day }}"}}, {"/config/url": "unknown_name"}),
        ({"config": {"url": "https://x/{{ item }}"}}, {"/config/url": "unknown_name"}),
        ({"parameters": {"type": "array"}}, {"/parameters/type": "invalid_schema"}),
        (
            {"parameters": {"properties": {"day": {"type": "texto"}}}},
            {"/parameters/properties/day/type": "invalid_schema"},
        ),
        ({"parameters": {"$ref": "https://example.com/schema"}}, {"/parameters": "remote_reference"}),
        ({"parameters": None}, {"/config/url": "unknown_parameter", "/config/query/limit": "unknown_parameter"}),
        ({"retry": {"max_attempts": 0}}, {"/retry/max_attempts": "minimum"}),
        ({"retry": {"attempts": 2}}, {"/retry/attempts": "unknown_field"}),
        ({"timeout": "soon"}, {"/timeout": "invalid_duration"}),
        ({"timeout": []}, {"/timeout": "type"}),
        ({"config": {"url": "x" * 300_000}}, {"/config": "too_large"}),
    ],
)
def test_it_rejects_a_bad_body(client: ApiClient, change: dict[str, Any], faults: dict[str, str]) -> None:
    assert client.post(URL, {**HTTP, **change}).expect(422).pointers == faults
    assert not StepTemplate.objects.exists()


def test_parameters_that_the_schema_leaves_open_may_be_read(client: ApiClient) -> None:
    client.post(URL, {**HTTP, "parameters": {"additionalProperties": True}}).expect(201)
    client.post(URL, {**HTTP, "name": "b", "config": {"url": "https://x"}, "parameters": None}).expect(201)


def test_a_change_of_the_content_is_a_new_version(client: ApiClient, template: dict[str, Any]) -> None:
    path = f"{URL}/{template['id']}"
    renamed = client.patch(path, {"name": "Other", "description": "x", "timeout": None}).expect(200)
    assert (renamed.data["version"], renamed.data["name"]) == (1, "Other")
    same = client.patch(path, {"config": HTTP["config"]}).expect(200)
    assert (same.data["version"], same.data["updated_at"]) == (1, renamed.data["updated_at"])
    other = client.patch(path, {"timeout": "5s", "retry": {"max_attempts": 2}}).expect(200)
    assert (other.data["version"], other.data["timeout"]) == (2, "5s")
    config = {"values": {"a": "{{ parameters.day }}", "b": "{{ parameters.limit }}"}}
    third = client.patch(path, {"step_type": "transform", "config": config}).expect(200)
    assert (third.data["version"], third.data["step_type"], third.data["timeout"]) == (3, "transform", "5s")
    assert client.get(path).data == third.data

    rows = client.get(f"{path}/versions").expect(200).data
    assert [(row["version"], row["current"], row["step_type"]) for row in rows] == [
        (3, True, "transform"),
        (2, False, "http"),
        (1, False, "http"),
    ]
    first = client.get(f"{path}/versions/1").expect(200)
    assert (first.data["config"], first.data["timeout"], first.data["template_id"]) == (
        HTTP["config"],
        None,
        template["id"],
    )
    client.get(f"{path}/versions/4").expect(404)


def test_true_is_not_one(client: ApiClient) -> None:
    body = {"name": "a", "step_type": "transform", "config": {"values": {"x": 1}}}
    made = client.post(URL, body).expect(201)
    changed = client.patch(f"{URL}/{made.data['id']}", {"config": {"values": {"x": True}}}).expect(200)
    assert (changed.data["version"], changed.data["config"]["values"]["x"]) == (2, True)


def test_it_rejects_a_stale_state(client: ApiClient, template: dict[str, Any]) -> None:
    path = f"{URL}/{template['id']}"
    tag = client.get(path).headers["ETag"]
    changed = client.patch(path, {"description": "new"}, headers={"If-Match": tag}).expect(200)
    client.patch(path, {"description": "newer"}, headers={"If-Match": tag}).expect(412)
    client.delete(path, headers={"If-Match": tag}).expect(412)
    client.delete(path, headers={"If-Match": changed.headers["ETag"]}).expect(204)


def test_it_rejects_a_name_that_is_taken(client: ApiClient, template: dict[str, Any], other_project: Project) -> None:
    factories.make_template(project=other_project, name=HTTP["name"])
    assert client.post(URL, HTTP).expect(409).code == "conflict"
    other = client.post(URL, {**HTTP, "name": "Other"}).expect(201)
    client.patch(f"{URL}/{other.data['id']}", {"name": HTTP["name"]}).expect(409)


def test_a_name_is_free_once_its_template_is_archived(client: ApiClient, template: dict[str, Any]) -> None:
    path = f"{URL}/{template['id']}"
    client.delete(path).expect(204)
    client.delete(path).expect(204)
    assert client.get(path).expect(200).data["archived"] is True
    assert client.get(URL).expect(200).data == []
    assert [row["id"] for row in client.get(URL, archived="true").expect(200).data] == [template["id"]]
    second = client.post(URL, HTTP).expect(201)
    client.patch(path, {"archived": False}).expect(409)
    client.patch(f"{URL}/{second.data['id']}", {"archived": True}).expect(200)
    assert client.patch(path, {"archived": False}).expect(200).data["archived"] is False


def test_lists_are_filtered_and_paged(client: ApiClient, project: Project, other_project: Project) -> None:
    rows = [factories.make_template(project=project, name=f"T{number}") for number in range(5)]
    factories.make_template(project=project, name="Delayed", step_type="delay", config={"duration": "1s"})
    factories.make_template(project=other_project, name="T9")
    assert [row["name"] for row in client.get(URL, name="t").data] == ["T4", "T3", "T2", "T1", "T0"]
    assert [row["name"] for row in client.get(URL, step_type="delay").data] == ["Delayed"]
    assert len(client.get(URL, project_id=str(project.pk)).data) == 6
    client.get(URL, project_id=str(other_project.pk)).expect(404)
    client.get(f"/v1/projects/{other_project.pk}/templates").expect(404)
    client.get(URL, archived="maybe").expect(400)
    first = client.get(URL, limit=4)
    rest = client.get(URL, limit=4, cursor=first.meta["cursor"])
    assert (first.meta["has_more"], rest.meta["has_more"]) == (True, False)
    assert [row["name"] for row in (*first.data, *rest.data)] == ["Delayed", "T4", "T3", "T2", "T1", "T0"]
    assert [row["id"] for row in rest.data] == [str(rows[1].pk), str(rows[0].pk)]


@pytest.mark.parametrize("path", [URL, "{one}/versions"])
def test_a_list_costs_the_same_however_long(client: ApiClient, project: Project, query_counter: Any, path: str) -> None:
    row = factories.make_template(project=project)
    path = path.format(one=f"{URL}/{row.pk}")
    client.get(path).expect(200)
    with query_counter() as few:
        client.get(path).expect(200)
    for number in range(5):
        factories.make_template(project=project)
        content = {"step_type": "delay", "config": {}}
        StepTemplateVersion.objects.create(template=row, version=number + 2, **content)
    with query_counter() as many:
        client.get(path).expect(200)
    assert len(few) == len(many)


def test_it_rejects_who_may_not(
    client_as: Callable[..., ApiClient],
    client_with: Callable[..., ApiClient],
    stranger: ApiClient,
    project: Project,
    template: dict[str, Any],
) -> None:
    path = f"{URL}/{template['id']}"
    for role, status in (("viewer", 403), ("operator", 403), ("editor", 200), ("owner", 200)):
        person = client_as(role)
        person.get(path).expect(200)
        person.post(f"{path}:render", {"parameters": {"day": "x"}}).expect(200)
        person.patch(path, {"description": role}).expect(status)
    client_with("workflows:write").get(path).expect(403)
    client_with("templates:read").delete(path).expect(403)
    client_with("templates:read").post(URL, HTTP).expect(403)
    for answer in (
        stranger.get(path),
        stranger.patch(path, {"name": "x"}),
        stranger.delete(path),
        stranger.post(f"{path}:render", {}),
        stranger.get(f"{path}/versions"),
        stranger.get(f"{path}/versions/1"),
        stranger.get(f"{path}/usage"),
    ):
        answer.expect(404)
    assert stranger.post(URL, {**HTTP, "project_id": str(project.pk)}).expect(422).pointers == {
        "/project_id": "not_found"
    }
    assert StepTemplate.objects.get().archived_at is None


def test_it_rejects_writing_into_an_archived_project(
    client_as: Callable[..., ApiClient], project: Project, template: dict[str, Any]
) -> None:
    editor = client_as("owner")
    Project.objects.filter(pk=project.pk).update(status=Project.Status.ARCHIVED)
    editor.post(URL, {**HTTP, "name": "b"}).expect(409)
    editor.patch(f"{URL}/{template['id']}", {"name": "c"}).expect(409)


# --- rendering ----------------------------------------------------------------------------------------------------


def test_rendering_shows_the_node(client: ApiClient, template: dict[str, Any]) -> None:
    path = f"{URL}/{template['id']}:render"
    assert client.post(path, {"parameters": {"day": "{{ inputs.day }}"}}).expect(200).data == {
        "type": "http",
        "config": {"method": "GET", "url": "https://shop.example/orders/{{ inputs.day }}", "query": {"limit": 100}},
        "retry": None,
        "timeout": None,
        "template_id": template["id"],
        "template_version": 1,
        "parameters": {"day": "{{ inputs.day }}", "limit": 100},
    }
    config = {"url": "https://other.example/{{ parameters.day }}/{{ parameters.limit }}"}
    client.patch(f"{URL}/{template['id']}", {"config": config}).expect(200)
    newest = client.post(path, {"parameters": {"day": "a", "limit": 5}}).expect(200).data
    assert (newest["template_version"], newest["config"]) == (2, {"url": "https://other.example/a/5"})
    first = client.post(path, {"parameters": {"day": "a"}, "version": 1}).expect(200).data
    assert (first["template_version"], first["config"]["url"]) == (1, "https://shop.example/orders/a")
    client.post(path, {"parameters": {"day": "a"}, "version": 3}).expect(404)


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({}, {"/parameters/day": "required"}),
        ({"parameters": {"day": 5}}, {"/parameters/day": "type"}),
        ({"parameters": {"day": "a", "limit": "many"}}, {"/parameters/limit": "type"}),
        ({"parameters": {"day": "a", "lmit": 5}}, {"/parameters/lmit": "unknown_field"}),
        ({"parameters": {"day": "{{ inputs."}}, {"/parameters/day": "expression_syntax"}),
        ({"parameters": {"day": "{{ nothing }}"}}, {"/parameters/day": "unknown_name"}),
        ({"parameters": []}, {"/parameters": "invalid"}),
        ({"version": 0}, {"/version": "min_value"}),
        ({"params": {}}, {"/params": "unknown_field"}),
    ],
)
def test_it_rejects_to_render_what_does_not_fit(
    client: ApiClient, template: dict[str, Any], body: dict[str, Any], faults: dict[str, str]
) -> None:
    assert client.post(f"{URL}/{template['id']}:render", body).expect(422).pointers == faults


def test_it_rejects_to_render_a_config_that_is_none(client: ApiClient) -> None:
    body = {
        "name": "Wait",
        "step_type": "delay",
        "config": {"duration": "{{ parameters.long }}{{ parameters.unit }}"},
        "parameters": {"properties": {"long": {}, "unit": {"default": "s"}}},
    }
    path = f"{URL}/{client.post(URL, body).expect(201).data['id']}:render"
    assert client.post(path, {"parameters": {"long": 5}}).expect(200).data["config"] == {"duration": "5s"}
    assert client.post(path, {"parameters": {"long": "x"}}).expect(422).pointers == {
        "/parameters/long": "invalid_duration"
    }
    assert client.post(path, {}).expect(422).pointers == {"/parameters/long": "required"}
