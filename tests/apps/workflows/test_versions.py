"""GET /v1/workflows/{id}/versions, /versions/{n} and POST :rollback."""

from collections.abc import Callable

import pytest

from tests import factories
from tests.apps.workflows.conftest import chain, step
from tests.support.api import ApiClient
from workflows.models import Workflow


@pytest.fixture
def history(client: ApiClient, path: str) -> str:
    """Three versions: a-b, a-b with a config, and one with another node."""
    client.patch(path, {"config": {"priority": 1}}).expect(200)
    client.patch(path, {**chain("a", "c"), "config": {"priority": 2}}).expect(200)
    return path


def test_it_works(client: ApiClient, history: str, workflow: Workflow) -> None:
    answer = client.get(f"{history}/versions", limit=2).expect(200)
    assert [(row["version"], row["current"]) for row in answer.data] == [(3, True), (2, False)]
    assert answer.meta["has_more"]
    assert "definition" not in answer.data[0]
    rest = client.get(f"{history}/versions", limit=2, cursor=answer.meta["cursor"]).expect(200)
    assert [row["version"] for row in rest.data] == [1]

    one = client.get(f"{history}/versions/1").expect(200)
    assert one.data["definition"]["nodes"] == chain("a", "b")["nodes"]
    assert one.data["workflow_id"] == str(workflow.pk)
    assert len(one.data["definition_hash"]) == 64
    client.get(f"{history}/versions/1", headers={"If-None-Match": one.headers["ETag"]}).expect(304)


def test_diff_tells_the_way_to_the_current_version(client: ApiClient, history: str) -> None:
    found = client.get(f"{history}/versions/2", diff="true").expect(200).data["diff"]
    assert found == {
        "to": 3,
        "identical": False,
        "nodes": {"added": [step("c")], "removed": [step("b")], "changed": [], "reordered": False},
        "edges": {
            "added": [{"source": "a", "target": "c"}],
            "removed": [{"source": "a", "target": "b"}],
            "changed": [],
            "reordered": False,
        },
        "config": [{"op": "replace", "path": "/priority", "old": 1, "value": 2}],
        "input_schema": [],
        "output": [],
    }
    assert client.get(f"{history}/versions/3", diff="true").data["diff"]["identical"] is True
    assert "diff" not in client.get(f"{history}/versions/3", diff="false").data


@pytest.mark.parametrize("number", ["0", "4", "999999999999999999999", "x"])
def test_it_rejects_versions_that_are_not_there(client: ApiClient, history: str, number: str) -> None:
    assert client.get(f"{history}/versions/{number}").expect(404).code == "not_found"


def test_it_rejects_who_may_not(
    client_as: Callable[..., ApiClient],
    client_with: Callable[..., ApiClient],
    stranger: ApiClient,
    anonymous: ApiClient,
    history: str,
    client: ApiClient,
) -> None:
    for path in (f"{history}/versions", f"{history}/versions/1"):
        client_as("viewer").get(path).expect(200)
        client_with("runs:read").get(path).expect(403)
        stranger.get(path).expect(404)
        anonymous.get(path).expect(401)
    rollback = f"{history}:rollback"
    client_as("operator").post(rollback, {"version": 1}).expect(403)
    client_with("workflows:read").post(rollback, {"version": 1}).expect(403)
    stranger.post(rollback, {"version": 1}).expect(404)
    anonymous.post(rollback, {"version": 1}).expect(401)
    assert client.get(history).data["version"] == 3


def test_rollback_is_a_new_version(client: ApiClient, history: str, workflow: Workflow) -> None:
    data = client.post(f"{history}:rollback", {"version": 1}).expect(200).data
    assert data["version"] == 4
    assert [node["id"] for node in data["nodes"]] == ["a", "b"]
    hashes = dict(workflow.versions.values_list("version", "definition_hash"))
    assert hashes[4] == hashes[1]
    assert client.post(f"{history}:rollback", {"version": 4}).expect(200).data["version"] == 4


def test_rollback_rejects_what_cannot_be_stored(client: ApiClient, history: str, workflow: Workflow) -> None:
    refused = client.post(f"{history}:rollback", {"version": 9}).expect(422)
    assert refused.pointers == {"/version": "unknown_version"}
    assert client.post(f"{history}:rollback", {"version": 0}).expect(422).pointers == {"/version": "min_value"}
    assert client.post(f"{history}:rollback", {}).expect(422).pointers == {"/version": "required"}
    workflow.project.settings = {"allowed_step_types": []}
    workflow.project.save(update_fields=["settings"])
    refused = client.post(f"{history}:rollback", {"version": 1}).expect(422)
    assert refused.pointers == {"/version": "type_not_allowed"}
    assert workflow.versions.count() == 3


def test_versions_of_another_workflow_stay_apart(client: ApiClient, history: str, workflow: Workflow) -> None:
    other = factories.make_workflow(project=workflow.project)
    assert len(client.get(f"/v1/workflows/{other.pk}/versions").data) == 1
    client.get(f"/v1/workflows/{other.pk}/versions/3").expect(404)
