"""GET /v1/workflows/{id}/graph."""

from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from flowforge.core.ids import new_id
from tests import factories
from tests.apps.workflows.conftest import FakeRuns, chain
from tests.support.api import ApiClient
from workflows.models import Workflow


def test_it_works(client: ApiClient, path: str) -> None:
    answer = client.get(f"{path}/graph").expect(200)
    assert answer.headers["Content-Type"] == "image/svg+xml"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert ElementTree.fromstring(answer.body).tag == "{http://www.w3.org/2000/svg}svg"
    assert client.get(f"{path}/graph", format="svg").body == answer.body


def test_an_accept_header_for_pictures_is_fine(client: ApiClient, path: str) -> None:
    client.get(f"{path}/graph", headers={"Accept": "image/svg+xml"}).expect(200)
    client.get(f"{path}/graph", format="mermaid", headers={"Accept": "text/plain"}).expect(200)


def test_mermaid_and_json(client: ApiClient, path: str) -> None:
    mermaid = client.get(f"{path}/graph", format="mermaid").expect(200)
    assert mermaid.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert mermaid.body.startswith((b"flowchart", b"graph"))
    plain = client.get(f"{path}/graph", format="json").expect(200).data
    assert [node["id"] for node in plain["nodes"]] == ["a", "b"]
    assert [node["state"] for node in plain["nodes"]] == [None, None]
    assert [(edge["source"], edge["target"]) for edge in plain["edges"]] == [("a", "b")]


def test_a_run_colours_the_version_that_it_has(
    client: ApiClient, workflow: Workflow, path: str, runs: FakeRuns
) -> None:
    run_id, version = new_id(), workflow.versions.get()
    runs.versions[run_id] = (workflow.pk, version.pk)
    runs.states[run_id] = {"a": "completed"}
    client.patch(path, chain("x", "y")).expect(200)
    nodes = client.get(f"{path}/graph", format="json", run_id=str(run_id)).expect(200).data["nodes"]
    assert [(node["id"], node["state"]) for node in nodes] == [("a", "completed"), ("b", None)]


def test_a_run_of_the_layer_above(client: ApiClient, workflow: Workflow, path: str) -> None:
    run = factories.make_run(workflow=workflow, status="running")
    factories.make_step(run=run, node_id="a", status="failed")
    nodes = client.get(f"{path}/graph", format="json", run_id=str(run.pk)).expect(200).data["nodes"]
    assert [node["state"] for node in nodes] == ["failed", None]


def test_it_rejects_runs_that_are_not_its_own(
    client: ApiClient, client_with: Callable[..., ApiClient], workflow: Workflow, path: str
) -> None:
    theirs = factories.make_run(workflow=factories.make_workflow(project=workflow.project))
    mine = factories.make_run(workflow=workflow)
    client.get(f"{path}/graph", run_id=str(theirs.pk)).expect(404)
    client.get(f"{path}/graph", run_id=factories.unknown_id()).expect(404)
    client.get(f"{path}/graph", run_id="x").expect(400)
    client_with("workflows:read").get(f"{path}/graph", run_id=str(mine.pk)).expect(404)  # it can't see runs


@pytest.mark.parametrize("text", ["png", ""])
def test_it_rejects_formats_it_cannot_draw(client: ApiClient, path: str, text: str) -> None:
    client.get(f"{path}/graph", format=text).expect(400)


def test_it_rejects_who_may_not(
    client_as: Callable[..., ApiClient],
    client_with: Callable[..., ApiClient],
    stranger: ApiClient,
    anonymous: ApiClient,
    path: str,
) -> None:
    client_as("viewer").get(f"{path}/graph").expect(200)
    client_with("runs:read").get(f"{path}/graph").expect(403)
    stranger.get(f"{path}/graph").expect(404)
    anonymous.get(f"{path}/graph").expect(401)
