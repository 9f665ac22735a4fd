"""Items of a `map` among a run's steps; runs by the run that started them."""

from typing import Any

import pytest

from flowforge.core.ids import step_id
from runs.models import Run
from tests import factories
from tests.support.api import ApiClient

pytestmark = pytest.mark.django_db

EACH = {
    "nodes": [
        {"id": "before", "type": "transform", "config": {"values": {}}},
        {
            "id": "each",
            "name": "Each of them",
            "type": "map",
            "config": {"items": [1, 2, 3], "step": {"type": "http", "name": "Call", "config": {"url": "https://a.b"}}},
        },
        {"id": "after", "type": "transform", "config": {"values": {}}},
    ],
    "edges": [],
}


def make_run(project: Any, items: int) -> Run:
    workflow = factories.make_workflow(project=project, definition=EACH)
    run = factories.make_run(workflow=workflow, steps_total=3)
    factories.make_step(run=run, node_id="each", status="waiting")
    for index in range(items):
        identity = step_id(run.pk, "each", index)
        factories.make_step(run=run, node_id="each", status="completed", index=index, id=identity)
    return run


def test_it_works(client: ApiClient, project: Any) -> None:
    run = make_run(project, 2)
    shown = client.get(f"/v1/runs/{run.pk}").expect(200).data["steps"]
    assert [(step["node_id"], step.get("index"), step["status"]) for step in shown] == [
        ("before", None, "pending"),
        ("each", None, "waiting"),
        ("each", 0, "completed"),
        ("each", 1, "completed"),
        ("after", None, "pending"),
    ]
    assert (shown[2]["name"], shown[2]["type"], "index" in shown[1]) == ("Call", "http", False)
    assert client.get(f"/v1/runs/{run.pk}/steps").expect(200).data == shown
    assert shown[2]["id"] == str(step_id(run.pk, "each", 0))


def test_it_rejects_the_logs_of_an_item_that_has_not_begun(client: ApiClient, project: Any) -> None:
    run = make_run(project, 1)
    client.get(f"/v1/runs/{run.pk}/steps/{step_id(run.pk, 'each', 0)}/logs").expect(200)
    client.get(f"/v1/runs/{run.pk}/steps/{step_id(run.pk, 'each', 1)}/logs").expect(404)


def test_pages_go_through_items(client: ApiClient, project: Any) -> None:
    run = make_run(project, 5)
    first = client.get(f"/v1/runs/{run.pk}/steps?limit=4").expect(200)
    second = client.get(f"/v1/runs/{run.pk}/steps?limit=4&cursor={first.meta['cursor']}").expect(200)
    assert [step.get("index") for step in first.data + second.data] == [None, None, 0, 1, 2, 3, 4, None]


def test_the_detail_leaves_out_very_many_items(
    client: ApiClient, project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(project, 5)
    monkeypatch.setattr("runs.selectors.MAX_INLINE_STEPS", 7)
    shown = client.get(f"/v1/runs/{run.pk}").expect(200).data["steps"]
    assert [step["node_id"] for step in shown] == ["before", "each", "after"]


def test_runs_are_found_by_their_parent(client: ApiClient, project: Any) -> None:
    parent = make_run(project, 0)
    child = factories.make_run(workflow=parent.workflow, parent_run=parent)
    found = client.get(f"/v1/runs?parent_run_id={parent.pk}").expect(200).data
    assert [run["id"] for run in found] == [str(child.pk)]
    client.get("/v1/runs?parent_run_id=x").expect(400)
