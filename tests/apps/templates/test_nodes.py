"""Workflows whose nodes templates make: checked, pinned, shown as written, kept whatever becomes of the template."""

from collections.abc import Callable
from typing import Any

import pytest

from flowforge.projects.models import Project
from templates_app.services.expanding import expand
from tests import factories
from tests.support.api import Answer, ApiClient
from workflows.models import TemplateUse, WorkflowVersion
from workflows.selectors import definition_of

Node = Callable[..., dict[str, Any]]
Save = Callable[..., Answer]
VALIDATE = "/v1/workflows:validate"


def test_it_works(save: Save, node: Node, client: ApiClient, template: dict[str, Any]) -> None:
    written = node(day="{{ inputs.day }}") | {"name": "Orders", "priority": 3}
    made = save(written).expect(201)
    assert made.data["nodes"] == [{**written, "template_version": 1}]
    assert client.get(made.headers["Location"]).data["nodes"] == made.data["nodes"]
    version = WorkflowVersion.objects.get()
    ran = definition_of(version.pk).by_id["fetch"]
    assert (ran.type, ran.name, ran.priority) == ("http", "Orders", 3)
    assert ran.config == {
        "method": "GET",
        "url": "https://shop.example/orders/{{ inputs.day }}",
        "query": {"limit": 100},
    }
    assert (ran.template_id, ran.template_version) == (template["id"], 1)
    use = TemplateUse.objects.get()
    assert (str(use.template_id), use.template_version, use.node_ids) == (template["id"], 1, ["fetch"])


def test_a_workflow_without_templates_is_stored_once_and_asks_for_none(client: ApiClient, query_counter: Any) -> None:
    with query_counter() as queries:
        client.post("/v1/workflows", {"name": "plain", **factories.DEFINITION}).expect(201)
    assert not [query for query in queries if "steptemplate" in query["sql"]]
    assert not [query for query in queries if 'INTO "workflows_templateuse"' in query["sql"]]
    assert WorkflowVersion.objects.get().expanded is None


def test_many_nodes_cost_no_more_queries(save: Save, node: Node, query_counter: Any) -> None:
    save(node(day="a")).expect(201)
    with query_counter() as few:
        save(node(day="a")).expect(201)
    with query_counter() as many:
        save(*({**node(day=str(number)), "id": f"n{number}"} for number in range(20))).expect(201)
    assert len(few) == len(many)


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        ({"template_id": "01981f5e-0000-7000-8000-000000000009"}, {"/template_id": "unknown_template"}),
        ({"template_id": "No such name"}, {"/template_id": "unknown_template"}),
        ({"template_id": 5}, {"/template_id": "type"}),
        ({"template_version": 2}, {"/template_version": "unknown_version"}),
        ({"template_version": "1"}, {"/template_version": "type"}),
        ({"template_version": 0}, {"/template_version": "minimum"}),
        ({"type": "delay"}, {"/type": "contradiction"}),
        ({"config": {}}, {"/config/parameters/day": "required"}),
        ({"config": {"parameters": []}}, {"/config/parameters": "type"}),
        ({"config": []}, {"/config": "type"}),
        ({"config": {"parameters": {"day": "a"}, "url": "https://x"}}, {"/config/url": "unknown_field"}),
        ({"config": {"parameters": {"day": "a", "typo": 1}}}, {"/config/parameters/typo": "unknown_field"}),
        ({"config": {"parameters": {"day": 1}}}, {"/config/parameters/day": "type"}),
        ({"config": {"parameters": {"day": "{{ inputs. }}"}}}, {"/config/parameters/day": "expression_syntax"}),
        ({"config": {"parameters": {"day": "{{ steps.no.output }}"}}}, {"/config/parameters/day": "unknown_step"}),
        ({"config": {"parameters": {"day": "{{ parameters.x }}"}}}, {"/config/parameters/day": "unknown_name"}),
        (
            {"config": {"parameters": {"day": "{{ credentials.a.b }}"}}},
            {"/config/parameters/day": "unknown_credential"},
        ),
        ({"retry": {"max_attempts": 0}}, {"/retry/max_attempts": "minimum"}),
        ({"typo": 1}, {"/typo": "unknown_field"}),
    ],
)
def test_it_rejects_a_bad_node(
    save: Save, node: Node, client: ApiClient, change: dict[str, Any], faults: dict[str, str]
) -> None:
    expected = {f"/nodes/0{pointer}": code for pointer, code in faults.items()}
    answer = save({**node(day="a"), **change}).expect(422)
    assert answer.pointers == expected
    told = client.post(VALIDATE, {"definition": {"nodes": [{**node(day="a"), **change}]}}).expect(200).data
    assert {fault["pointer"]: fault["code"] for fault in told["errors"]} == {
        f"/definition{pointer}": code for pointer, code in expected.items()
    }
    assert not WorkflowVersion.objects.exists()


def test_it_rejects_a_parameter_that_reads_what_is_not_upstream(save: Save, node: Node) -> None:
    after = {"id": "after", "type": "transform", "config": {"values": {"x": 1}}}
    edges = [{"source": "fetch", "target": "after"}]
    answer = save(node(day="{{ steps.after.output.x }}"), after, edges=edges).expect(422)
    assert answer.pointers == {"/nodes/0/config/parameters/day": "not_upstream"}


def test_what_the_template_reads_is_checked_in_the_workflow(save: Save, client: ApiClient) -> None:
    body = {"name": "Sum", "step_type": "transform", "config": {"values": {"n": "{{ steps.fetch.output.n }}"}}}
    sums = {"id": "sum", "template_id": client.post("/v1/templates", body).expect(201).data["id"]}
    assert save(sums).expect(422).pointers == {"/nodes/0/template_id": "unknown_step"}
    fetch = {"id": "fetch", "type": "transform", "config": {"values": {"n": 1}}}
    save(fetch, sums, edges=[{"source": "fetch", "target": "sum"}]).expect(201)


def test_it_rejects_a_config_that_parameters_spoil(save: Save, client: ApiClient) -> None:
    body = {
        "name": "Wait",
        "step_type": "delay",
        "config": {"duration": "{{ parameters.long }}"},
        "parameters": {"properties": {"long": {}}},
        "timeout": "1h",
    }
    waiting = {"id": "wait", "template_id": client.post("/v1/templates", body).expect(201).data["id"]}
    for value in ("soon", [5]):
        answer = save({**waiting, "config": {"parameters": {"long": value}}}).expect(422)
        assert list(answer.pointers) == ["/nodes/0/config/parameters/long"]
    assert save(waiting).expect(422).pointers == {"/nodes/0/config/parameters/long": "required"}
    save({**waiting, "config": {"parameters": {"long": "{{ inputs.long }}"}}}).expect(201)


def test_it_rejects_another_project_s_template(save: Save, client: ApiClient, other_project: Project) -> None:
    theirs = factories.make_template(project=other_project, name="Theirs")
    for name in (str(theirs.pk), str(theirs.pk).upper(), "Theirs"):
        answer = save({"id": "a", "template_id": name, "template_version": 1}).expect(422)
        assert answer.pointers == {"/nodes/0/template_id": "unknown_template"}


def test_policy_holds_for_what_templates_make(save: Save, client: ApiClient, project: Project) -> None:
    """Whatever the project's settings were when the template was saved (security: policy after the merge)."""
    row = factories.make_template(project=project, step_type="generic", config={"command": "true"}, parameters=None)
    node = {"id": "a", "template_id": str(row.pk)}
    assert save(node).expect(422).pointers == {"/nodes/0/template_id": "type_not_allowed"}
    assert save({**node, "type": "generic"}).expect(422).pointers == {"/nodes/0/template_id": "type_not_allowed"}
    refused = client.post(f"/v1/templates/{row.pk}:render", {}).expect(422)
    assert refused.pointers == {"/parameters": "type_not_allowed"}
    inner = {"items": [1], "step": {"type": "generic", "config": {"command": "true"}}}
    mapped = factories.make_template(project=project, step_type="map", config=inner, parameters=None)
    refused = save({"id": "a", "template_id": str(mapped.pk)}).expect(422)
    assert refused.pointers == {"/nodes/0/template_id": "type_not_allowed"}


def test_credentials_in_templates_are_those_of_the_workflow_s_project(
    save: Save, client: ApiClient, project: Project
) -> None:
    factories.make_credential(project=project, name="orders", hosts=["shop.example"])
    body = {
        "name": "Call",
        "step_type": "http",
        "config": {"url": "https://{{ parameters.host }}/x", "credential": "{{ parameters.credential }}"},
        "parameters": {"properties": {"host": {"default": "shop.example"}, "credential": {"default": "orders"}}},
    }
    node = {"id": "a", "template_id": client.post("/v1/templates", body).expect(201).data["id"]}
    save(node).expect(201)
    foreign = save({**node, "config": {"parameters": {"credential": "other"}}}).expect(422)
    assert foreign.pointers == {"/nodes/0/config/parameters/credential": "unknown_credential"}
    elsewhere = save({**node, "config": {"parameters": {"host": "evil.example"}}}).expect(422)
    assert elsewhere.pointers == {"/nodes/0/config/parameters": "credential_host"}


def test_retry_and_timeout_are_the_template_s_unless_the_node_says_so(save: Save, client: ApiClient) -> None:
    body = {
        "name": "Slow",
        "step_type": "transform",
        "config": {"values": {}},
        "retry": {"max_attempts": 5, "initial_delay": "2s"},
        "timeout": "30s",
    }
    node = {"template_id": client.post("/v1/templates", body).expect(201).data["id"]}
    own = {"id": "own", **node, "retry": {"max_attempts": 2}, "timeout": 5}
    save({"id": "a", **node}, own).expect(201)
    nodes = definition_of(WorkflowVersion.objects.get().pk).by_id
    assert (nodes["a"].retry.max_attempts, nodes["a"].retry.initial_delay, nodes["a"].timeout_seconds) == (5, 2, 30)
    assert (nodes["own"].retry.max_attempts, nodes["own"].retry.initial_delay) == (2, 2)
    assert nodes["own"].timeout_seconds == 5


def test_a_template_is_named_by_its_name_too(save: Save, node: Node, template: dict[str, Any]) -> None:
    made = save({**node(day="a"), "template_id": template["name"]}).expect(201)
    assert made.data["nodes"][0]["template_id"] == template["id"]


def test_it_rejects_a_definition_that_templates_make_too_large(project: Project) -> None:
    row = factories.make_template(project=project, config={"values": {"x": "a" * 200_000}}, parameters=None)
    nodes = [{"id": f"n{number}", "template_id": str(row.pk)} for number in range(40)]
    found = expand({"nodes": nodes}, project.pk)
    assert {fault.code for fault in found.errors} == {"expression_budget"}
    assert len(found.errors) == 14
    assert found.errors[0].pointer == "/nodes/26/template_id"


# --- later versions -----------------------------------------------------------------------------------------------


@pytest.fixture
def workflow(save: Save, node: Node) -> str:
    """The path of a workflow with one node of the template."""
    return str(save(node(day="a")).expect(201).headers["Location"])


@pytest.fixture
def newer(client: ApiClient, template: dict[str, Any], workflow: str) -> None:
    """The template's second version, after the workflow was saved."""
    config = {"url": "https://new.example/{{ parameters.day }}/{{ parameters.limit }}"}
    client.patch(f"/v1/templates/{template['id']}", {"config": config}).expect(200)


@pytest.mark.usefixtures("newer")
def test_a_workflow_keeps_its_version(client: ApiClient, workflow: str) -> None:
    before = WorkflowVersion.objects.get()
    same = client.patch(workflow, {"nodes": client.get(workflow).data["nodes"]}).expect(200)
    assert same.data["version"] == 1
    config = client.patch(workflow, {"config": {"timeout": "1h"}}).expect(200)
    assert (config.data["version"], config.data["nodes"][0]["template_version"]) == (2, 1)
    newest = WorkflowVersion.objects.get(version=2)
    assert definition_of(newest.pk).by_id["fetch"].config == definition_of(before.pk).by_id["fetch"].config
    definition_of.cache_clear()
    assert "shop.example" in definition_of(before.pk).by_id["fetch"].config["url"]


@pytest.mark.usefixtures("newer")
def test_it_warns_of_an_older_version(client: ApiClient, workflow: str) -> None:
    told = client.post(f"{workflow}:validate").expect(200).data
    assert told["valid"] is True
    assert [(fault["pointer"], fault["code"]) for fault in told["warnings"]] == [
        ("/nodes/0/template_version", "template_outdated")
    ]


@pytest.mark.usefixtures("newer")
@pytest.mark.parametrize("change", [{"template_version": None}, {"template_version": 2}])
def test_saving_without_a_version_takes_the_newest(client: ApiClient, workflow: str, change: dict[str, Any]) -> None:
    [node] = client.get(workflow).data["nodes"]
    saved = client.patch(workflow, {"nodes": [{**node, **change}]}).expect(200)
    assert (saved.data["version"], saved.data["nodes"][0]["template_version"]) == (2, 2)
    url = definition_of(WorkflowVersion.objects.get(version=2).pk).by_id["fetch"].config["url"]
    assert url == "https://new.example/a/100"
    assert client.post(f"{workflow}:validate").data["warnings"] == []
    back = client.post(f"{workflow}:rollback", {"version": 1}).expect(200)
    assert (back.data["version"], back.data["nodes"][0]["template_version"]) == (3, 1)
    assert "shop.example" in definition_of(WorkflowVersion.objects.get(version=3).pk).by_id["fetch"].config["url"]
    copy = client.post(f"{workflow}:duplicate").expect(201)
    assert copy.data["nodes"] == back.data["nodes"]
    assert TemplateUse.objects.count() == 4


@pytest.mark.usefixtures("newer")
def test_a_workflow_is_brought_to_the_newest_versions(
    client: ApiClient, client_as: Callable[..., ApiClient], stranger: ApiClient, workflow: str, template: dict[str, Any]
) -> None:
    path = f"{workflow}:upgrade_templates"
    stranger.post(path).expect(404)
    client_as("operator").post(path).expect(403)
    other = client.post(path, {"template_id": factories.unknown_id()}).expect(200)
    assert other.data["version"] == 1
    client.post(path, {}, headers={"If-Match": '"stale"'}).expect(412)
    done = client.post(path, {"template_id": template["id"]}, headers={"If-Match": other.headers["ETag"]}).expect(200)
    assert (done.data["version"], done.data["nodes"][0]["template_version"]) == (2, 2)
    assert client.post(path).expect(200).data["version"] == 2


def test_it_rejects_an_upgrade_that_the_parameters_do_not_fit(
    client: ApiClient, workflow: str, template: dict[str, Any]
) -> None:
    schema = {**template["parameters"], "required": ["day", "limit", "zone"]}
    client.patch(f"/v1/templates/{template['id']}", {"parameters": schema}).expect(200)
    answer = client.post(f"{workflow}:upgrade_templates").expect(422)
    assert answer.pointers == {"/template_id": "required"}
    assert "/nodes/0/config/parameters/zone" in answer.json["errors"][0]["detail"]
    assert client.get(workflow).data["version"] == 1


def test_usage_tells_who_uses_it(
    client: ApiClient, client_with: Callable[..., ApiClient], save: Save, node: Node, template: dict[str, Any]
) -> None:
    path = f"/v1/templates/{template['id']}/usage"
    assert client.get(path).expect(200).data == []
    first = save(node(day="a"), {**node(day="b"), "id": "again"}, name="First").expect(201).data
    client.patch(f"/v1/templates/{template['id']}", {"timeout": "1s"}).expect(200)
    second = save(node(day="a"), name="Second").expect(201).data
    assert client.get(path).expect(200).data == [
        {
            "workflow_id": second["id"],
            "workflow_name": "Second",
            "workflow_status": "active",
            "workflow_version": 1,
            "template_version": 2,
            "outdated": False,
            "nodes": ["fetch"],
        },
        {
            "workflow_id": first["id"],
            "workflow_name": "First",
            "workflow_status": "active",
            "workflow_version": 1,
            "template_version": 1,
            "outdated": True,
            "nodes": ["fetch", "again"],
        },
    ]
    assert [row["workflow_name"] for row in client.get(path, outdated="true").data] == ["First"]
    assert [row["workflow_name"] for row in client.get(path, outdated="false").data] == ["Second"]
    assert len(client.get(path, limit=1).expect(200).data) == 1
    assert client_with("templates:read").get(path).expect(200).data == []
    client_with("workflows:read").get(path).expect(403)
    client.patch(f"/v1/workflows/{first['id']}", {"nodes": []}).expect(200)
    assert [row["workflow_name"] for row in client.get(path).data] == ["Second"]


def test_usage_costs_the_same_however_long(
    client: ApiClient, save: Save, node: Node, template: dict[str, Any], query_counter: Any
) -> None:
    path = f"/v1/templates/{template['id']}/usage"
    save(node(day="a")).expect(201)
    client.get(path).expect(200)
    with query_counter() as few:
        client.get(path).expect(200)
    for _ in range(4):
        save(node(day="a")).expect(201)
    with query_counter() as many:
        assert len(client.get(path).expect(200).data) == 5
    assert len(few) == len(many)


def test_a_template_in_use_is_archived_by_force_alone(
    client: ApiClient, workflow: str, save: Save, node: Node, template: dict[str, Any]
) -> None:
    path = f"/v1/templates/{template['id']}"
    assert client.delete(path).expect(409).json["workflows"] == 1
    client.patch(path, {"archived": True}).expect(409)
    client.delete(path, force="maybe").expect(400)
    client.delete(path, force="true").expect(204)
    assert save(node(day="b")).expect(422).pointers == {"/nodes/0/template_id": "template_archived"}
    named = {**node(day="b"), "template_id": template["name"], "template_version": 1}
    assert save(named).expect(422).pointers == {"/nodes/0/template_id": "unknown_template"}
    told = client.post(f"{workflow}:validate").expect(200).data
    assert [fault["code"] for fault in told["warnings"]] == ["template_archived"]
    client.patch(workflow, {"config": {"timeout": "1h"}}).expect(200)
    assert client.post(f"{workflow}:upgrade_templates").expect(422).pointers == {"/template_id": "template_archived"}


def test_an_archived_workflow_holds_no_template(client: ApiClient, workflow: str, template: dict[str, Any]) -> None:
    client.delete(workflow).expect(204)
    client.delete(f"/v1/templates/{template['id']}").expect(204)


# --- files --------------------------------------------------------------------------------------------------------


def test_a_file_names_templates_by_name(
    client: ApiClient, workflow: str, template: dict[str, Any], other_project: Project, stranger: ApiClient
) -> None:
    entry = client.get(f"{workflow}/export", format="json").expect(200).json
    assert entry["definition"]["nodes"] == [
        {
            "id": "fetch",
            "config": {"parameters": {"day": "a"}},
            "template_id": template["name"],
            "template_version": 1,
        }
    ]
    again = client.post("/v1/workflows:import", entry).expect(200).data
    assert [row["action"] for row in again] == ["unchanged"]
    text = client.get(f"{workflow}/export").body
    answer = stranger.request("POST", "/v1/workflows:import", text, content_type="application/yaml").expect(422)
    assert answer.pointers == {"/definition/nodes/0/template_id": "unknown_template"}
    assert template["name"] in answer.json["errors"][0]["detail"]
    stranger.post("/v1/templates", {name: template[name] for name in ("name", "step_type", "config", "parameters")})
    theirs = stranger.request("POST", "/v1/workflows:import", text, content_type="application/yaml").expect(200)
    assert [row["action"] for row in theirs.data] == ["created"]
    other = {**entry, "definition": {"nodes": [{**entry["definition"]["nodes"][0], "template_version": 7}]}}
    assert client.post("/v1/workflows:import", other).expect(422).pointers == {
        "/definition/nodes/0/template_version": "unknown_version"
    }


def test_an_archived_template_is_written_by_its_id(client: ApiClient, workflow: str, template: dict[str, Any]) -> None:
    client.delete(f"/v1/templates/{template['id']}", force="true").expect(204)
    entry = client.get(f"{workflow}/export", format="json").expect(200).json
    assert entry["definition"]["nodes"][0]["template_id"] == template["id"]
    assert [row["action"] for row in client.post("/v1/workflows:import", entry).expect(200).data] == ["unchanged"]


def test_the_picture_shows_what_the_template_made(client: ApiClient, workflow: str) -> None:
    [node] = client.get(f"{workflow}/graph", format="json").expect(200).data["nodes"]
    assert (node["id"], node["type"]) == ("fetch", "http")
