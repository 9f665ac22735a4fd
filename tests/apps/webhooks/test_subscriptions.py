"""Subscriptions as resources: made, read, changed, deleted; their secrets; what may be asked of them."""

import pytest

from flowforge.core import clock
from flowforge.core.egress import AddressPolicy, Egress
from tests import factories
from webhooks import secrets
from webhooks.models import Delivery, Subscription

pytestmark = pytest.mark.django_db

GOOD = {"url": "https://93.184.215.14/hooks", "events": ["workflow.completed", "order.*"]}


@pytest.fixture
def delivery(subscription):
    return make_delivery(subscription)


def make_delivery(subscription, **fields):
    pending = fields.get("status", "pending") == "pending"
    return Delivery.objects.create(
        **{
            "subscription": subscription,
            "event": "order.paid",
            "body": '{"event": "order.paid"}',
            "next_attempt_at": clock.now() if pending else None,
            **fields,
        }
    )


def test_it_works(client, project):
    made = client.post("/v1/subscriptions", {**GOOD, "description": "ours"}).expect(201)
    shown = made.data
    assert made.headers["Location"] == f"/v1/subscriptions/{shown['id']}"
    assert shown["secret"].startswith("whsec_")
    assert (shown["events"], shown["enabled"], shown["failure_count"]) == (GOOD["events"], True, 0)
    read = client.get(f"/v1/subscriptions/{shown['id']}").expect(200)
    assert read.data == {name: value for name, value in shown.items() if name != "secret"}
    assert read.headers["ETag"] == made.headers["ETag"]
    assert client.get("/v1/subscriptions", project_id=project.pk).expect(200).data == [read.data]
    assert shown["secret"].encode() not in bytes(Subscription.objects.get().secret_ciphertext)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://127.0.0.1/x", "target_refused"),
        ("http://[::1]/x", "target_refused"),
        ("http://[::ffff:169.254.169.254]/latest", "target_refused"),
        ("http://169.254.169.254/latest", "target_refused"),
        ("http://10.0.0.1/x", "target_refused"),
        ("https://93.184.215.14:22/x", "target_refused"),
        ("https://user:secret@93.184.215.14/x", "target_refused"),
        ("ftp://93.184.215.14/x", "target_refused"),
        ("file:///etc/passwd", "target_refused"),
        ("https://", "invalid_request"),
        ("nonsense", "target_refused"),
    ],
)
def test_it_rejects_targets_that_may_not_be_called(client, url, code):
    assert client.post("/v1/subscriptions", {**GOOD, "url": url}).expect(422).pointers == {"/url": code}
    assert not Subscription.objects.exists()


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["93.184.215.14", "127.0.0.1"]])
def test_it_rejects_a_name_that_leads_inside(client, addresses, monkeypatch):
    guard = Egress(AddressPolicy(), resolve=lambda host, port: addresses)
    monkeypatch.setattr("webhooks.targets.egress", lambda allow: guard)
    answer = client.post("/v1/subscriptions", {**GOOD, "url": "https://inside.example/x"})
    assert answer.expect(422).pointers == {"/url": "target_refused"}


def test_a_private_target_can_be_allowed(client, settings):
    settings.ALLOW_PRIVATE_TARGETS = ["127.0.0.0/8"]
    client.post("/v1/subscriptions", {**GOOD, "url": "http://127.0.0.1:9999/x"}).expect(201)


def test_it_rejects_what_cannot_be_meant(client, other_project):
    foreign = factories.make_workflow(project=other_project)
    for change, pointers in (
        ({"events": []}, {"/events": "min_length"}),
        ({"events": ["*", "workflow.finished"]}, {"/events/1": "unknown_event"}),
        ({"events": ["workflow.c*d"]}, {"/events/0": "invalid"}),
        ({"events": ["runs.*", "task.x*"]}, {"/events/1": "unknown_event"}),
        ({"events": [" order.paid"]}, {"/events/0": "invalid"}),
        ({"workflow_id": str(foreign.pk)}, {"/workflow_id": "not_found"}),
        ({"secret": "mine"}, {"/secret": "unknown_field"}),
    ):
        assert client.post("/v1/subscriptions", {**GOOD, **change}).expect(422).pointers == pointers


def test_a_key_of_idempotency_makes_one(client):
    key = {"Idempotency-Key": "k"}
    first = client.post("/v1/subscriptions", GOOD, headers=key).expect(201)
    assert client.post("/v1/subscriptions", GOOD, headers=key).expect(201).data == first.data
    assert Subscription.objects.count() == 1


def test_it_can_be_changed(client, subscription, workflow):
    path = f"/v1/subscriptions/{subscription.pk}"
    before = client.get(path).headers["ETag"]
    changed = client.patch(path, {"events": ["*"], "workflow_id": str(workflow.pk)}, headers={"If-Match": before})
    assert changed.expect(200).data["events"] == ["*"]
    client.patch(path, {"description": "x"}, headers={"If-Match": before}).expect(412)
    tag = changed.headers["ETag"]
    assert client.patch(path, {"url": "https://93.184.215.14/other"}).expect(200).headers["ETag"] != tag
    assert client.patch(path, {"url": "http://10.1.2.3/"}).expect(422).pointers == {"/url": "target_refused"}
    assert client.patch(path, {"workflow_id": None}).expect(200).data["workflow_id"] is None


def test_one_that_is_enabled_again_begins_anew(client, subscription):
    Subscription.objects.update(enabled=False, disabled_reason="gone", failure_count=7, failing_since=clock.now())
    shown = client.patch(f"/v1/subscriptions/{subscription.pk}", {"enabled": True}).expect(200).data
    assert (shown["enabled"], shown["disabled_reason"], shown["failure_count"]) == (True, None, 0)
    shown = client.patch(f"/v1/subscriptions/{subscription.pk}", {"enabled": False}).expect(200).data
    assert shown["disabled_reason"] == "disabled by hand"


def test_it_can_be_deleted_with_its_deliveries(client, subscription, delivery):
    client.delete(f"/v1/subscriptions/{subscription.pk}").expect(204)
    client.get(f"/v1/deliveries/{delivery.pk}").expect(404)
    assert not Delivery.objects.exists()


def test_a_rotated_secret_is_shown_once(client, subscription, frozen_clock):
    answer = client.post(f"/v1/subscriptions/{subscription.pk}:rotate_secret", {"overlap": "1h"}).expect(200)
    subscription.refresh_from_db()
    holding = secrets.of(subscription, clock.now())
    assert (len(holding), holding[0]) == (2, answer.data["secret"])
    frozen_clock.advance(3601)
    assert secrets.of(subscription, clock.now()) == holding[:1]


def test_a_test_is_a_delivery(client, subscription):
    answer = client.post(f"/v1/subscriptions/{subscription.pk}:test", {}).expect(202)
    shown = client.get(answer.headers["Location"]).expect(200).data
    assert (shown["event"], shown["status"]) == ("subscription.test", "pending")
    assert shown["body"]["event"] == "subscription.test"
    Subscription.objects.update(enabled=False)
    client.post(f"/v1/subscriptions/{subscription.pk}:test", {}).expect(409)


def test_deliveries_are_listed(client, subscription, delivery, query_counter):
    dead = make_delivery(subscription, status="dead", event="other")
    path = f"/v1/subscriptions/{subscription.pk}/deliveries"
    assert [row["id"] for row in client.get(path).expect(200).data] == [str(dead.pk), str(delivery.pk)]
    assert [row["id"] for row in client.get(path, status="dead").data] == [str(dead.pk)]
    assert [row["id"] for row in client.get(path, event="order.paid").data] == [str(delivery.pk)]
    client.get(path, status="x").expect(400)


def test_lists_are_flat(client, subscription, delivery, own_queries):
    make_delivery(subscription)
    client.get("/v1/subscriptions").expect(200)
    with own_queries:
        client.get(f"/v1/subscriptions/{subscription.pk}/deliveries").expect(200)
    assert len(own_queries.statements) == 2


def test_a_dead_letter_can_be_sent_again(client, subscription):
    dead = make_delivery(subscription, status="dead", attempt=10, attempts=[{"at": "x", "status": 500}])
    shown = client.post(f"/v1/deliveries/{dead.pk}:redeliver", {}).expect(202).data
    assert (shown["id"], shown["status"], shown["attempt"]) == (str(dead.pk), "pending", 0)
    assert len(shown["attempts"]) == 1
    client.post(f"/v1/deliveries/{factories.unknown_id()}:redeliver", {}).expect(404)


def test_all_since_a_moment_can_be_sent_again(client, subscription, monkeypatch, frozen_clock):
    old = make_delivery(subscription, status="dead")
    frozen_clock.advance(60)
    since = clock.isoformat(clock.now())
    for _ in range(3):
        make_delivery(subscription, status="dead")
    delivered = make_delivery(subscription, status="delivered")
    path = f"/v1/subscriptions/{subscription.pk}:redeliver"
    monkeypatch.setattr("webhooks.constants.MAX_REDELIVERED", 2)
    assert client.post(path, {"since": since}).expect(202).data == {"matched": 2, "has_more": True}
    assert client.post(path, {"since": since}).expect(202).data == {"matched": 1, "has_more": False}
    assert client.post(path, {"since": since, "status": ["delivered"]}).expect(202).data["matched"] == 1
    assert Delivery.objects.get(pk=delivered.pk).status == "pending"
    assert Delivery.objects.get(pk=old.pk).status == "dead"
    client.post(path, {}).expect(422)


def test_the_events_are_described_to_anybody(anonymous):
    answer = anonymous.get("/v1/events/schema").expect(200)
    assert answer.json["asyncapi"] == "3.0.0"
    assert "delivery.workflow.completed" in answer.json["channels"]["deliveries"]["messages"]
    tag = {"If-None-Match": answer.headers["ETag"]}
    anonymous.get("/v1/events/schema", headers=tag).expect(304)
