"""Webhooks as resources: made, read, changed, deleted; their secrets; their calls, and taking these again."""

import datetime as dt

import pytest

from flowforge.core import clock
from runs.models import Run
from tests import factories
from tests.apps.webhooks.conftest import make_webhook
from webhooks import constants
from webhooks.models import Call, Webhook
from webhooks.services.cleaning import purge_calls

pytestmark = pytest.mark.django_db


@pytest.fixture
def call(webhook, post):
    post(webhook, {"order": 7}).expect(202)
    return Call.objects.get()


def test_it_works(client, workflow, project):
    made = client.post("/v1/webhooks", {"name": "orders", "workflow_id": str(workflow.pk)}).expect(201)

    shown = made.data
    assert made.headers["Location"] == f"/v1/webhooks/{shown['id']}"
    assert shown["url"] == f"http://testserver/v1/webhooks/{shown['id']}/ingest"
    assert shown["secret"].startswith("whsec_")
    assert (shown["auth"], shown["signature_scheme"], shown["response"]) == ("both", "standard", "accepted")
    assert (shown["project_id"], shown["enabled"]) == (str(project.pk), True)
    read = client.get(f"/v1/webhooks/{shown['id']}").expect(200)
    assert read.data == {name: value for name, value in shown.items() if name != "secret"}
    assert read.headers["ETag"] == made.headers["ETag"]
    assert client.get("/v1/webhooks").expect(200).data == [read.data]


def test_the_secret_of_a_new_one_signs_calls(client, workflow, post):
    shown = client.post("/v1/webhooks", {"name": "x", "workflow_id": str(workflow.pk)}).expect(201).data
    post(Webhook.objects.get(), {"a": 1}, secret=shown["secret"]).expect(202)


def test_the_secret_is_sealed_at_rest(client, workflow):
    given = {"name": "x", "workflow_id": str(workflow.pk), "signature_scheme": "slack", "secret": "canary-of-slack"}
    assert client.post("/v1/webhooks", given).expect(201).data["secret"] == "canary-of-slack"
    row = Webhook.objects.get()
    assert b"canary" not in bytes(row.secret_ciphertext)
    assert "canary" not in client.get(f"/v1/webhooks/{row.pk}").body.decode()


def test_it_rejects_what_cannot_be_meant(client, workflow, other_project):
    good = {"name": "x", "workflow_id": str(workflow.pk)}
    foreign = factories.make_workflow(project=other_project)
    for change, pointers in (
        ({"workflow_id": str(foreign.pk)}, {"/workflow_id": "not_found"}),
        ({"workflow_id": factories.unknown_id()}, {"/workflow_id": "not_found"}),
        ({"auth": "none"}, {"/auth": "invalid_choice"}),
        ({"signature_scheme": "x"}, {"/signature_scheme": "invalid_choice"}),
        ({"signature_header": "X Y"}, {"/signature_header": "invalid"}),
        ({"event_filter": "payload.a +"}, {"/event_filter": "expression_syntax"}),
        ({"event_filter": "steps.a.output"}, {"/event_filter": "unknown_name"}),
        ({"dedupe": "inputs.x"}, {"/dedupe": "unknown_name"}),
        ({"input_mapping": {"a": ["{{ payload. }}"]}}, {"/input_mapping/a/0": "expression_syntax"}),
        ({"input_mapping": {"a": "{{ credentials.x }}"}}, {"/input_mapping": "unknown_name"}),
        ({"input_mapping": [1]}, {"/input_mapping": "not_a_mapping"}),
        ({"secret": "short"}, {"/secret": "min_length"}),
        ({"secret": "whsec_not of the standard"}, {"/secret": "invalid"}),
        ({"url": "x"}, {"/url": "unknown_field"}),
    ):
        assert client.post("/v1/webhooks", {**good, **change}).expect(422).pointers == pointers
    assert not Webhook.objects.exists()


def test_a_key_of_idempotency_makes_one(client, workflow):
    given, key = {"name": "x", "workflow_id": str(workflow.pk)}, {"Idempotency-Key": "k"}
    first = client.post("/v1/webhooks", given, headers=key).expect(201)
    again = client.post("/v1/webhooks", given, headers=key).expect(201)
    assert again.data == first.data
    assert again.headers["Idempotent-Replayed"] == "true"


def test_it_can_be_changed(client, webhook, project):
    other = factories.make_workflow(project=project)
    before = client.get(f"/v1/webhooks/{webhook.pk}").headers["ETag"]
    changes = {"enabled": False, "workflow_id": str(other.pk), "event_filter": "payload.a", "input_mapping": {"a": 1}}
    changed = client.patch(f"/v1/webhooks/{webhook.pk}", changes, headers={"If-Match": before}).expect(200)
    assert {name: changed.data[name] for name in changes} == changes
    assert changed.headers["ETag"] != before
    client.patch(f"/v1/webhooks/{webhook.pk}", {"enabled": True}, headers={"If-Match": before}).expect(412)
    taken_away = client.patch(f"/v1/webhooks/{webhook.pk}", {"event_filter": None, "input_mapping": None}).expect(200)
    assert taken_away.data["event_filter"] is taken_away.data["input_mapping"] is None


def test_being_called_does_not_change_its_tag(client, webhook, post):
    before = client.get(f"/v1/webhooks/{webhook.pk}").headers["ETag"]
    post(webhook).expect(202)
    assert client.get(f"/v1/webhooks/{webhook.pk}").headers["ETag"] == before


def test_it_can_be_deleted_and_its_runs_stay(client, webhook, call):
    tag = client.get(f"/v1/webhooks/{webhook.pk}").headers["ETag"]
    client.delete(f"/v1/webhooks/{webhook.pk}", headers={"If-Match": '"other"'}).expect(412)
    client.delete(f"/v1/webhooks/{webhook.pk}", headers={"If-Match": tag}).expect(204)
    client.get(f"/v1/webhooks/{webhook.pk}").expect(404)
    assert Run.objects.filter(pk=call.run_id).exists()
    assert not Call.objects.exists()


def test_rotation_shows_the_new_secret_once(client, webhook, post):
    answer = client.post(f"/v1/webhooks/{webhook.pk}:rotate_secret", {"overlap": "0s"}).expect(200)
    post(webhook, message_id="1").expect(401)
    post(webhook, message_id="2", secret=answer.data["secret"]).expect(202)
    for overlap in ("8d", "-1s", "soon"):
        client.post(f"/v1/webhooks/{webhook.pk}:rotate_secret", {"overlap": overlap}).expect(422)


def test_lists_are_filtered_and_flat(client, webhook, project, own_queries):
    other = make_webhook(factories.make_workflow(project=project))
    assert len(client.get("/v1/webhooks", project_id=project.pk).data) == 2
    assert [row["id"] for row in client.get("/v1/webhooks", workflow_id=other.workflow_id).data] == [str(other.pk)]
    client.get("/v1/webhooks", workflow_id=factories.unknown_id()).expect(404)
    client.get("/v1/webhooks", workflow_id="x").expect(404)
    with own_queries:
        client.get("/v1/webhooks").expect(200)
    assert len(own_queries.statements) == 1


# --- calls --------------------------------------------------------------------------------------------------------


def test_calls_are_listed_with_what_was_decided(client, webhook, call, post, own_queries):
    post(webhook, secret="whsec_" + "A" * 32).expect(401)
    rows = client.get(f"/v1/webhooks/{webhook.pk}/deliveries").expect(200).data
    assert [row["decision"] for row in rows] == ["rejected", "fired"]
    assert (rows[0]["reason"], rows[0]["body"]) == ("invalid_signature", None)
    assert (rows[1]["run_id"], rows[1]["body"]) == (str(call.run_id), '{"order": 7}')
    assert len(client.get(f"/v1/webhooks/{webhook.pk}/deliveries", decision="fired").data) == 1
    client.get(f"/v1/webhooks/{webhook.pk}/deliveries", decision="x").expect(400)
    with own_queries:
        client.get(f"/v1/webhooks/{webhook.pk}/deliveries").expect(200)
    assert len(own_queries.statements) == 2


def test_a_list_shows_the_beginning_of_a_large_body(client, webhook, post):
    post(webhook, b"x" * 9_000, kind="text").expect(202)
    [row] = client.get(f"/v1/webhooks/{webhook.pk}/deliveries").expect(200).data
    assert (len(row["body"]), row["size"]) == (constants.EXCERPT_LENGTH, 9_000)


def test_a_call_can_be_taken_again(client, webhook, call, workflow):
    factories.make_version(workflow=workflow, version=2)
    path = f"/v1/webhooks/{webhook.pk}/deliveries/{call.pk}:replay"
    again = client.post(path, {"version": 2}).expect(202)
    run = Run.objects.get(pk=again.data["run_id"])
    assert (run.inputs, run.workflow_version) == ({"order": 7}, 2)
    row = Call.objects.get(pk=again.data["delivery_id"])
    assert (row.replay_of, row.decision, row.body) == (call.pk, "fired", None)
    client.post(f"/v1/webhooks/{webhook.pk}/deliveries/{row.pk}:replay", {}).expect(409)
    client.post(path, {"version": 9}).expect(404)
    client.post(f"/v1/webhooks/{webhook.pk}/deliveries/{factories.unknown_id()}:replay", {}).expect(404)


def test_a_call_is_taken_again_by_the_rules_of_now(client, webhook, call):
    client.patch(f"/v1/webhooks/{webhook.pk}", {"input_mapping": {"n": "{{ payload.order + 1 }}"}}).expect(200)
    again = client.post(f"/v1/webhooks/{webhook.pk}/deliveries/{call.pk}:replay", {}).expect(202)
    assert Run.objects.get(pk=again.data["run_id"]).inputs == {"n": 8}
    client.patch(f"/v1/webhooks/{webhook.pk}", {"event_filter": "payload.order > 100"}).expect(200)
    answer = client.post(f"/v1/webhooks/{webhook.pk}/deliveries/{call.pk}:replay", {}).expect(200)
    assert answer.data["run_id"] is None


def test_many_can_be_taken_again(client, webhook, post):
    client.patch(f"/v1/webhooks/{webhook.pk}", {"event_filter": "payload.wanted"}).expect(200)
    for number in range(3):
        post(webhook, {"n": number}, message_id=f"{number}").expect(200)
    post(webhook, secret="whsec_" + "A" * 32).expect(401)
    client.patch(f"/v1/webhooks/{webhook.pk}", {"event_filter": None}).expect(200)
    path = f"/v1/webhooks/{webhook.pk}/deliveries:replay"
    answer = client.post(path, {"filter": {"decision": ["skipped"]}}).expect(200)
    assert answer.data == {"matched": 3, "done": 3, "failed": {}, "has_more": False}
    assert sorted(run.inputs["n"] for run in Run.objects.all()) == [0, 1, 2]
    late = {"filter": {"received_after": "2100-01-01T00:00:00Z"}}
    assert client.post(path, late).expect(200).data["matched"] == 0
    assert "/filter" in client.post(path, {}).expect(422).pointers


def test_replaying_many_is_bounded(client, webhook, post, monkeypatch):
    monkeypatch.setattr(constants, "MAX_REPLAYED", 2)
    for number in range(3):
        post(webhook, {"n": number}, message_id=f"{number}").expect(202)
    answer = client.post(f"/v1/webhooks/{webhook.pk}/deliveries:replay", {"filter": {"decision": ["fired"]}})
    assert answer.expect(200).data == {"matched": 2, "done": 2, "failed": {}, "has_more": True}


def test_what_cannot_be_taken_again_hinders_no_other(client, webhook, post, project):
    for number in range(2):
        post(webhook, {"n": number}, message_id=f"{number}").expect(202)
    client.patch(f"/v1/webhooks/{webhook.pk}", {"input_mapping": {"x": "{{ 1 / payload.n }}"}}).expect(200)
    answer = client.post(f"/v1/webhooks/{webhook.pk}/deliveries:replay", {"filter": {"decision": ["fired"]}})
    assert answer.expect(200).data == {"matched": 2, "done": 1, "failed": {"invalid": 1}, "has_more": False}


def test_old_calls_are_cleaned_away(webhook, call):
    now = clock.now()
    old = [
        make_call(webhook, now - constants.CALLS_KEPT_FOR, "fired"),
        make_call(webhook, now - constants.REJECTIONS_KEPT_FOR, "rejected"),
    ]
    make_call(webhook, now - constants.REJECTIONS_KEPT_FOR, "fired")
    assert purge_calls(now=now - dt.timedelta(seconds=1), limit=10) == 0
    assert purge_calls(now=now, limit=1) == 1
    assert purge_calls(now=now, limit=10) == 1
    assert not Call.objects.filter(pk__in=[row.pk for row in old]).exists()
    assert Call.objects.count() == 2


def make_call(webhook, created_at, decision):
    return Call.objects.create(webhook=webhook, created_at=created_at, decision=decision)


def test_waiting_gives_what_the_run_gave(workflow, post, monkeypatch):
    webhook = make_webhook(workflow, response="wait")

    def end(run_id, seconds):
        assert seconds == constants.WAIT_SECONDS
        Run.objects.filter(pk=run_id).update(status="completed", outputs={"n": 1}, finished_at=clock.now())
        return True

    monkeypatch.setattr("webhooks.api.ingest.wait_until_ended", end)
    shown = post(webhook).expect(200).data
    assert (shown["status"], shown["outputs"], shown["error"]) == ("completed", {"n": 1}, None)
    monkeypatch.setattr("webhooks.api.ingest.wait_until_ended", lambda run_id, seconds: False)
    assert set(post(webhook, message_id="2").expect(202).data) == {"delivery_id", "run_id"}
