"""GET /v1/runs/{id}/explain and /v1/projects/{id}/limits"""

import pytest

from flowforge.core.bell import CONTROL_QUEUE
from tests import factories

pytestmark = pytest.mark.django_db
POOL = {"slots": 4, "busy": 0, "heard_at": None, "hint_at": None}


@pytest.fixture
def run(project):
    factories.make_worker(pools={CONTROL_QUEUE: POOL, "default": POOL})
    return factories.make_run(workflow=factories.make_workflow(project=project), event_seq=1)


def test_it_works(client, project, run):
    shown = client.get(f"/v1/runs/{run.pk}/explain").expect(200).data
    assert shown == {"summary": "It goes on at once: only is about to begin.", "causes": []}
    client.post(f"/v1/projects/{project.pk}:freeze", {"reason": "so"}).expect(200)
    shown = client.get(f"/v1/runs/{run.pk}/explain").expect(200).data
    [cause] = shown["causes"]
    assert shown["summary"] == cause["message"]
    assert cause.pop("since") is not None
    assert cause.pop("message").endswith(": so")
    assert cause == {
        "code": "frozen",
        "holder": {"type": "project", "id": str(project.pk)},
        "until": None,
        "position": None,
        "step": None,
        "unblock": ["thaw"],
    }


def test_it_rejects_strangers(stranger, client_with, run):
    stranger.get(f"/v1/runs/{run.pk}/explain").expect(404)
    client_with("workflows:read").get(f"/v1/runs/{run.pk}/explain").expect(403)


def test_limits(client, project, run):
    limits = client.get(f"/v1/projects/{project.pk}/limits").expect(200).data
    assert {limit["kind"] for limit in limits} == {"project_runs", "api_calls", "queue"}
    calls = {limit["key"]: limit for limit in limits if limit["kind"] == "api_calls"}
    assert calls["general"]["limit"] == "1000/m"
    assert calls["general"]["occupied"] >= 1
    assert calls["runs"]["occupied"] == 0


def test_a_changed_limit_is_shown_at_once(client, project):
    path = f"/v1/projects/{project.pk}"
    client.patch(path, {"settings": {"max_concurrent_runs": 3}}).expect(200)
    [limit] = [each for each in client.get(f"{path}/limits").data if each["kind"] == "project_runs"]
    assert limit["limit"] == "3"


def test_limits_reject_strangers(stranger, project):
    stranger.get(f"/v1/projects/{project.pk}/limits").expect(404)
