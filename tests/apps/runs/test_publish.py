"""POST /v1/events, GET /v1/events/{id}"""

from datetime import timedelta

import pytest

from flowforge.core import clock
from flowforge.core.ids import new_id
from flowforge.events.models import Event
from flowforge.events.services import KEPT_FOR, purge
from runs.models import StepRun
from tests import factories

pytestmark = pytest.mark.django_db

DEFINITION = {
    "nodes": [{"id": "wait", "type": "wait_event", "config": {"event": "paid", "match": "{{ payload.n > 1 }}"}}],
    "edges": [],
}


@pytest.fixture
def waiting(project):
    """A step that waits for `paid`, with n over 1."""

    def make(project=project):
        workflow = factories.make_workflow(project=project, definition=DEFINITION)
        run = factories.make_run(workflow=workflow, status="waiting", wake_at=None)
        return factories.make_step(
            run=run,
            node_id="wait",
            status="waiting",
            waits_for="event:paid",
            started_at=clock.now(),
            then={"status": "failed", "asks": {"match": "{{ payload.n > 1 }}"}},
        )

    return make


def test_it_works(client, project, waiting):
    steps = [waiting(), waiting()]

    answer = client.post("/v1/events", {"event": "paid", "payload": {"n": 2}}).expect(202)

    event = Event.objects.get()
    assert answer.data == {
        "id": str(event.id),
        "project_id": str(project.id),
        "event": "paid",
        "payload": {"n": 2},
        "source": event.source,
        "matched": 2,
        "started": 0,
        "created_at": answer.data["created_at"],
        "unclear": [],
        "run_ids": [],
    }
    assert event.source.startswith("key:")
    resolutions = [StepRun.objects.get(pk=step.pk).resolution for step in steps]
    assert [(each["output"], each["told"]["actor"]) for each in resolutions] == [({"n": 2}, f"event:{event.id}")] * 2
    shown = client.get(answer.headers["Location"]).expect(200)
    assert shown.data == {name: value for name, value in answer.data.items() if name not in ("unclear", "run_ids")}


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, {"/event": "required"}),
        ({"event": "a b"}, {"/event": "invalid"}),
        ({"event": "order.*"}, {"/event": "invalid"}),
        ({"event": "a\n"}, {"/event": "invalid"}),
        ({"event": "x" * 101}, {"/event": "invalid"}),
        ({"event": "a", "payload": []}, {"/payload": "not_a_dict"}),
        ({"event": "a", "dedupe_key": "x" * 256}, {"/dedupe_key": "max_length"}),
        ({"event": "a", "name": "b"}, {"/name": "unknown_field"}),
    ],
)
def test_it_rejects_other_bodies(client, body, pointers):
    assert client.post("/v1/events", body).expect(422).pointers == pointers
    assert not Event.objects.exists()


def test_it_tells_of_steps_that_could_not_be_asked(client, waiting):
    step = waiting()
    answer = client.post("/v1/events", {"event": "paid", "payload": {"n": "two"}}).expect(202)
    assert answer.data["matched"] == 0
    [unclear] = answer.data["unclear"]
    assert (unclear["run_id"], unclear["step_id"]) == (str(step.run_id), str(step.id))
    assert unclear["message"]
    assert StepRun.objects.get(pk=step.pk).resolution is None


def test_the_same_key_within_a_day_is_the_same_event(client, waiting, frozen_clock):
    waiting()
    body = {"event": "paid", "payload": {"n": 2}, "dedupe_key": "k"}
    first = client.post("/v1/events", body).expect(202)
    later = waiting()
    frozen_clock.advance(86_399)

    again = client.post("/v1/events", {**body, "payload": {"n": 3}}).expect(200)

    assert again.data == first.data
    assert StepRun.objects.get(pk=later.pk).resolution is None
    frozen_clock.advance(2)
    fresh = client.post("/v1/events", body).expect(202)
    assert fresh.data["id"] != first.data["id"]
    assert fresh.data["matched"] == 1


def test_keys_of_projects_never_meet(client, stranger):
    body = {"event": "paid", "dedupe_key": "k"}
    client.post("/v1/events", body).expect(202)
    stranger.post("/v1/events", body).expect(202)
    assert Event.objects.count() == 2


def test_the_same_call_again_is_answered_again(client, waiting):
    waiting()
    body, headers = {"event": "paid", "payload": {"n": 2}}, {"Idempotency-Key": "k"}
    first = client.post("/v1/events", body, headers=headers).expect(202)
    again = client.post("/v1/events", body, headers=headers).expect(202)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json == first.json
    assert Event.objects.count() == 1


def test_it_rejects_those_who_may_not(client_with, client_as, anonymous, stranger, waiting):
    body = {"event": "paid", "payload": {"n": 2}}
    step = waiting()
    client_as("viewer").post("/v1/events", body).expect(403)
    client_with("runs:read").post("/v1/events", body).expect(403)
    anonymous.post("/v1/events", body).expect(401)
    assert stranger.post("/v1/events", body).expect(202).data["matched"] == 0
    assert StepRun.objects.get(pk=step.pk).resolution is None
    client_as("operator").post("/v1/events", body).expect(202)


def test_a_person_of_several_projects_says_which(project, other_project, client_as):
    client = client_as("operator")
    client.post("/v1/events", {"event": "a", "project_id": str(project.pk)}).expect(202)
    answer = client.post("/v1/events", {"event": "a", "project_id": str(other_project.pk)}).expect(422)
    assert answer.pointers == {"/project_id": "not_found"}


def test_it_counts_on_the_bucket_of_runs(client):
    assert client.post("/v1/events", {"event": "a"}).headers["X-RateLimit-Limit"] == "500"


def test_it_rejects_an_event_that_is_not_there(client, stranger):
    event = client.post("/v1/events", {"event": "a"}).expect(202).headers["Location"]
    stranger.get(event).expect(404)
    client.get(f"/v1/events/{new_id()}").expect(404)


def test_what_was_kept_long_enough_is_deleted(project):
    now = clock.now()
    for days in (0, 1):
        moment = now - KEPT_FOR + timedelta(days=days, seconds=-1)
        Event.objects.create(project_id=project.pk, name="a", source="test", created_at=moment)
    assert [purge(now=now, limit=10), purge(now=now, limit=10)] == [1, 0]
    assert Event.objects.count() == 1
