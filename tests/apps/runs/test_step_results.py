"""POST /v1/runs/{id}/steps/{step_id}:complete and :override"""

import pytest

from flowforge.core.ids import new_id, step_id
from runs.models import StepRun
from tests import factories

pytestmark = pytest.mark.django_db

BODIES = {"complete": {"output": {"a": 1}}, "override": {"output": {"a": 1}, "reason": "by telephone"}}
ACTIONS = tuple(BODIES)


@pytest.fixture
def make_step(workflow):
    def make(status="waiting", waits_for="event:paid", **fields):
        run = factories.make_run(workflow=workflow, status="waiting", wake_at=None)
        return factories.make_step(run=run, status=status, waits_for=waits_for, **fields)

    return make


def path(step, action):
    return f"/v1/runs/{step.run_id}/steps/{step.id}:{action}"


@pytest.mark.parametrize("waits_for", ["event:paid", "callback", "parcel:17"])
def test_it_works(client, make_step, waits_for):
    step = make_step(waits_for=waits_for)

    client.post(path(step, "complete"), BODIES["complete"]).expect(202)

    resolution = StepRun.objects.get(pk=step.pk).resolution
    assert (resolution["status"], resolution["output"]) == ("completed", {"a": 1})
    assert set(resolution["told"]) == {"by", "actor"}


@pytest.mark.parametrize(("waits_for", "why"), [("approval", "by :approve or :reject"), ("time", "waits for time")])
def test_it_rejects_to_complete_what_is_for_others(client, make_step, waits_for, why):
    step = make_step(waits_for=waits_for)
    assert why in client.post(path(step, "complete"), BODIES["complete"]).expect(409).json["detail"]
    assert StepRun.objects.get(pk=step.pk).resolution is None


@pytest.mark.parametrize("status", ["pending", "retrying", "running", "completed", "failed", "skipped", "cancelled"])
def test_it_rejects_to_complete_what_does_not_wait(client, make_step, status):
    client.post(path(make_step(status=status), "complete"), BODIES["complete"]).expect(409)


@pytest.mark.parametrize("status", ["pending", "retrying", "waiting"])
@pytest.mark.parametrize("waits_for", ["", "time", "event:paid", "approval"])
def test_override(client, make_step, status, waits_for):
    step = make_step(status=status, waits_for=waits_for)

    client.post(path(step, "override"), BODIES["override"]).expect(202)

    resolution = StepRun.objects.get(pk=step.pk).resolution
    assert resolution["output"] == {"a": 1}
    assert resolution["told"] == {**resolution["told"], "reason": "by telephone", "forced": True}


@pytest.mark.parametrize("status", ["running", "completed", "failed", "skipped", "cancelled"])
def test_it_rejects_to_override_what_runs_or_has_ended(client, make_step, status):
    problem = client.post(path(make_step(status=status), "override"), BODIES["override"]).expect(409)
    assert status in problem.json["detail"]


@pytest.mark.parametrize(
    ("action", "body", "pointers"),
    [
        ("complete", {}, {"/output": "required"}),
        ("complete", {"output": 1, "reason": "x"}, {"/reason": "unknown_field"}),
        ("override", {"output": 1}, {"/reason": "required"}),
        ("override", {"output": 1, "reason": " "}, {"/reason": "blank"}),
        ("override", {"output": 1, "reason": "x" * 1001}, {"/reason": "max_length"}),
        ("override", {"reason": "x"}, {"/output": "required"}),
    ],
)
def test_it_rejects_other_bodies(client, make_step, action, body, pointers):
    assert client.post(path(make_step(), action), body).expect(422).pointers == pointers


def test_null_is_an_output(client, make_step):
    step = make_step()
    client.post(path(step, "complete"), {"output": None}).expect(202)
    assert StepRun.objects.get(pk=step.pk).resolution["output"] is None


@pytest.mark.parametrize("action", ACTIONS)
def test_it_rejects_what_is_not_there(client, make_step, action):
    step = make_step()
    run = factories.make_run(workflow=step.run.workflow)
    client.post(f"/v1/runs/{run.id}/steps/{step_id(run.id, 'only')}:{action}", BODIES[action]).expect(409)
    client.post(f"/v1/runs/{run.id}/steps/{step.id}:{action}", BODIES[action]).expect(404)
    client.post(f"/v1/runs/{new_id()}/steps/{step.id}:{action}", BODIES[action]).expect(404)


@pytest.mark.parametrize("action", ACTIONS)
def test_it_rejects_those_who_may_not(make_step, action, client_with, client_as, stranger, anonymous):
    step = make_step()
    client_as("viewer").post(path(step, action), BODIES[action]).expect(403)
    client_with("runs:read", "workflows:write").post(path(step, action), BODIES[action]).expect(403)
    stranger.post(path(step, action), BODIES[action]).expect(404)
    anonymous.post(path(step, action), BODIES[action]).expect(401)
    client_as("operator").post(path(step, action), BODIES[action]).expect(202)


@pytest.mark.parametrize("action", ACTIONS)
def test_the_same_call_again_is_answered_again(client, make_step, action):
    step, headers = make_step(), {"Idempotency-Key": "k"}
    client.post(path(step, action), BODIES[action], headers=headers).expect(202)
    again = client.post(path(step, action), BODIES[action], headers=headers).expect(202)
    assert again.headers["Idempotent-Replayed"] == "true"
    client.post(path(step, action), BODIES[action]).expect(409)
