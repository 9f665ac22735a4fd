"""/v1/gallery: what it lists, what it shows, and what an installation makes."""

from collections.abc import Callable
from typing import Any

import pytest

from flowforge.core.jsonschema import apply_defaults, compile_schema
from flowforge.kernel.validation import validate
from flowforge.projects.models import Project
from flowforge.projects.services.bootstrap import DEMO_STEP_TYPES
from tests import factories
from tests.apps.workflows.conftest import chain
from tests.support.api import ApiClient
from workflows.constants import EMPTY_DEFINITION
from workflows.models import Workflow
from workflows.services.definitions import step_types
from workflows.services.gallery import gallery, item, slugs
from workflows.services.installing import install_gallery

ONE = "/v1/gallery/customer-onboarding"
CHILDREN = {"create-account", "invite-member"}
KINDS = {"credential", "isolation", "program", "provider", "target"}


@pytest.fixture(autouse=True)
def _allowed(project: Project) -> None:
    project.settings = {"allowed_step_types": list(DEMO_STEP_TYPES)}
    project.save(update_fields=["settings"])


def names() -> list[str]:
    return sorted(Workflow.objects.values_list("name", flat=True))


# --- each file ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slug", slugs())
def test_a_file_is_valid_and_explains_itself(slug: str) -> None:
    one = item(slug)
    found = validate(one.wired({}).over(EMPTY_DEFINITION), step_types())
    assert (found.errors, found.warnings) == ([], [])
    assert len(one.title) > 8
    assert len(one.description) > 60
    assert one.tags[0] == "gallery"
    assert {need.kind for need in one.needs} <= KINDS
    assert all(child in slugs() for child in one.installs)
    assert all(node.get("name") for node in one.definition["nodes"])


@pytest.mark.parametrize("slug", slugs())
def test_a_file_runs_with_its_defaults_and_with_its_example(slug: str) -> None:
    one = item(slug)
    schema: dict[str, Any] = one.definition["input_schema"]
    assert not schema.get("required")
    assert one.example
    for inputs in ({}, one.example, one.triggers.get("schedule", {}).get("inputs", {})):  # type: ignore[attr-defined]
        assert compile_schema(schema).faults(apply_defaults(schema, inputs)) == []


def test_together_they_use_every_step_type() -> None:
    assert {name for one in gallery() for name in one.step_types} == {kind.name for kind in step_types().all()}


def test_the_triggers_that_they_propose_can_be_made(client: ApiClient, project: Project) -> None:
    install_gallery(project_id=project.pk)
    ids = dict(Workflow.objects.values_list("name", "id"))
    paths = {"schedule": "/v1/schedules", "webhook": "/v1/webhooks", "event": "/v1/event-triggers"}
    assert {kind for one in gallery() for kind in one.triggers} == set(paths)
    for kind, path in paths.items():
        bodies = [(one.slug, one.triggers[kind]) for one in gallery() if kind in one.triggers]
        for slug, body in bodies:
            client.post(path, {"workflow_id": str(ids[slug]), **body}).expect(201)


# --- list and retrieve --------------------------------------------------------------------------------------------


def test_it_works(client: ApiClient) -> None:
    answer = client.get("/v1/gallery", limit=100).expect(200)
    assert [row["slug"] for row in answer.data] == slugs()
    assert answer.meta == {"cursor": None, "has_more": False}
    [row] = [row for row in answer.data if row["slug"] == "customer-onboarding"]
    assert row["title"] == "Customer onboarding"
    assert set(row["installs"]) == CHILDREN
    assert {"workflow", "map", "wait_event", "python", "transform"} <= set(row["step_types"])
    [needy] = [row for row in answer.data if row["slug"] == "document-triage"]
    assert [need["kind"] for need in needy["needs"]] == ["provider", "target"]


def test_it_is_listed_in_pages(client: ApiClient) -> None:
    first = client.get("/v1/gallery", limit=5).expect(200)
    second = client.get("/v1/gallery", limit=5, cursor=first.meta["cursor"]).expect(200)
    assert [row["slug"] for row in first.data + second.data] == slugs()[:10]


def test_it_is_filtered(client: ApiClient) -> None:
    assert [row["slug"] for row in client.get("/v1/gallery", step_type="llm").data] == ["document-triage"]
    assert {row["slug"] for row in client.get("/v1/gallery", tag="part").data} == {*CHILDREN, "note-failure"}
    assert client.get("/v1/gallery", tag="part", step_type="llm").data == []


def test_one_of_it(client: ApiClient) -> None:
    answer = client.get(ONE).expect(200)
    shown = answer.data
    assert shown["mermaid"].startswith("flowchart")
    assert "Wait until the customer confirms" in shown["mermaid"]
    assert shown["definition"]["nodes"][0]["config"]["workflow_id"] == "gallery:create-account"
    assert shown["example"]["customer"] == "Hopper Compilers"
    assert shown["triggers"]["webhook"]["dedupe"] == "{{ payload.customer }}"
    client.get(ONE, headers={"If-None-Match": answer.headers["ETag"]}).expect(304)


@pytest.mark.parametrize("slug", ["nothing", "..", "Disk-Check"])
def test_it_rejects_what_there_is_not(client: ApiClient, slug: str) -> None:
    client.get(f"/v1/gallery/{slug}").expect(404)
    client.post(f"/v1/gallery/{slug}:install", {}).expect(404)


# --- install ------------------------------------------------------------------------------------------------------


def test_an_installation_brings_what_it_starts(client: ApiClient) -> None:
    answer = client.post(f"{ONE}:install", {}).expect(201)
    made = answer.data
    assert answer.headers["Location"] == f"/v1/workflows/{made['id']}"
    assert client.get(answer.headers["Location"]).expect(200).data["nodes"] == made["nodes"]
    assert (made["name"], made["version"], made["status"]) == ("customer-onboarding", 1, "active")
    assert made["tags"] == list(item("customer-onboarding").tags)
    started = {node["config"]["workflow_id"] for node in made["nodes"] if "workflow_id" in node["config"]}
    assert {str(pk) for pk in Workflow.objects.filter(name__in=CHILDREN).values_list("pk", flat=True)} == started
    assert names() == sorted({*CHILDREN, "customer-onboarding"})


def test_an_installation_wires_what_a_failure_starts(client: ApiClient) -> None:
    made = client.post("/v1/gallery/data-quality-gate:install", {"name": "Orders"}).expect(201).data
    handler = Workflow.objects.get(name="note-failure")
    assert (made["name"], made["config"]["on_failure"]["workflow_id"]) == ("Orders", str(handler.pk))


def test_a_second_installation_is_a_copy_that_starts_the_same(client: ApiClient) -> None:
    first, second, third = (client.post(f"{ONE}:install").expect(201).data for _ in range(3))
    assert [one["name"] for one in (first, second, third)] == [
        "customer-onboarding",
        "customer-onboarding (2)",
        "customer-onboarding (3)",
    ]
    assert first["nodes"] == second["nodes"] == third["nodes"]
    assert len(names()) == 5


@pytest.mark.parametrize("change", [{"status": "paused"}, {"output": {"other": 1}}])
def test_what_the_project_has_altered_is_not_started(client: ApiClient, change: dict[str, Any]) -> None:
    first = client.post(f"{ONE}:install").expect(201).data
    altered = Workflow.objects.get(name="create-account")
    client.patch(f"/v1/workflows/{altered.pk}", change).expect(200)
    second = client.post(f"{ONE}:install").expect(201).data
    fresh = Workflow.objects.get(name="create-account (2)")
    assert first["nodes"][0]["config"]["workflow_id"] == str(altered.pk)
    assert second["nodes"][0]["config"]["workflow_id"] == str(fresh.pk)
    assert Workflow.objects.filter(name__startswith="invite-member").count() == 1


def test_a_repeated_call_is_the_same_call(client: ApiClient) -> None:
    first, again = (client.post(f"{ONE}:install", {}, headers={"Idempotency-Key": "k"}).expect(201) for _ in range(2))
    assert first.data == again.data
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(names()) == 3
    client.post(f"{ONE}:install", {"name": "x"}, headers={"Idempotency-Key": "k"}).expect(422)


@pytest.mark.parametrize("path", [ONE, "/v1/gallery/create-account"])
def test_it_rejects_types_that_the_project_does_not_allow(client: ApiClient, project: Project, path: str) -> None:
    """Also those of what would be installed with it; nothing is left behind."""
    project.settings = {"allowed_step_types": ["workflow", "map", "wait_event", "emit", "transform"]}
    project.save(update_fields=["settings"])
    refused = client.post(f"{path}:install", {}).expect(422)
    assert refused.pointers == {"/project_id": "type_not_allowed"}
    assert "python" in refused.json["errors"][0]["detail"]
    assert names() == []


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"nmae": "x"}, {"/nmae": "unknown_field"}),
        ({"name": ""}, {"/name": "blank"}),
        ({"project_id": "x"}, {"/project_id": "invalid"}),
    ],
)
def test_it_rejects_bad_bodies(client: ApiClient, body: dict[str, Any], pointers: dict[str, str]) -> None:
    assert client.post(f"{ONE}:install", body).expect(422).pointers == pointers
    assert names() == []


def test_it_rejects_who_may_not(client_as: Callable[..., ApiClient], client_with: Callable[..., ApiClient]) -> None:
    client_as("viewer").get(ONE).expect(200)
    client_as("viewer").post(f"{ONE}:install").expect(403)
    client_with("workflows:read").post(f"{ONE}:install").expect(403)
    client_with("runs:write").get("/v1/gallery").expect(403)
    ApiClient().get("/v1/gallery").expect(401)
    assert names() == []


def test_it_rejects_an_archived_project(client_as: Callable[..., ApiClient], project: Project) -> None:
    editor = client_as("editor")
    Project.objects.filter(pk=project.pk).update(status="archived")
    editor.post(f"{ONE}:install", {"project_id": str(project.pk)}).expect(409)
    assert names() == []


# --- all of it at a start -----------------------------------------------------------------------------------------


def test_a_start_brings_all_of_it_once(project: Project) -> None:
    assert sorted(one.workflow.name for one in install_gallery(project_id=project.pk)) == slugs()
    assert names() == slugs()
    assert install_gallery(project_id=project.pk) == []


def test_what_the_project_has_made_of_it_stays(project: Project) -> None:
    own = factories.make_workflow(project=project, name="disk-check", definition=chain("mine"), status="archived")
    made = {one.workflow.name for one in install_gallery(project_id=project.pk)}
    assert made == set(slugs()) - {"disk-check"}
    kept = Workflow.objects.get(project=project, name="disk-check")
    assert (kept.pk, kept.version, kept.status) == (own.pk, 1, "archived")


def test_a_start_brings_what_the_project_allows(project: Project) -> None:
    """A project that has been restricted since keeps nobody from starting."""
    project.settings = {"allowed_step_types": ["approval", "condition", "emit", "transform"]}
    project.save(update_fields=["settings"])
    assert {one.workflow.name for one in install_gallery(project_id=project.pk)} == {"order-review", "invite-member"}
