"""Deliveries on their way: what is sent, how failures are retried, who is given up."""

import json
from datetime import timedelta

import pytest
from standardwebhooks.webhooks import Webhook as Oracle

from flowforge.core import clock
from flowforge.events.models import Event
from tests.apps.webhooks.conftest import SECRET, make_subscription
from webhooks import constants
from webhooks.attempts import Outcome
from webhooks.deliverer import Deliverer
from webhooks.models import Delivery, Subscription
from webhooks.services import subscriptions
from webhooks.services.cleaning import purge_deliveries
from webhooks.services.delivering import claim_deliveries, due_subscriptions, record_outcomes
from webhooks.services.outbox import add_delivery

pytestmark = pytest.mark.django_db


@pytest.fixture
def receiver(stub, project, settings):
    """A subscription to the stub."""
    settings.ALLOW_PRIVATE_TARGETS = ["127.0.0.1"]
    return make_subscription(project, url=stub.url + "/hooks?a=1")


def send(subscription, **data):
    return add_delivery(subscription=subscription, event="order.paid", data=data)


def run_once() -> int:
    return Deliverer(threads=4).run_once()


def fresh(row):
    row.refresh_from_db()
    return row


def test_it_works(receiver, stub):
    delivery = send(receiver, n=1)
    stub.reply(204, text="thanks", headers={"X-Seen": "yes", "Set-Cookie": "canary"})

    assert run_once() == 1

    [asked] = stub.asked
    assert (asked.method, asked.path, asked.query) == ("POST", "/hooks", {"a": ["1"]})
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["webhook-id"] == str(delivery.pk)
    assert json.loads(asked.body) == {"event": "order.paid", "timestamp": asked.json["timestamp"], "data": {"n": 1}}
    delivery = fresh(delivery)
    assert (delivery.status, delivery.attempt, delivery.next_attempt_at) == ("delivered", 1, None)
    [attempt] = delivery.attempts
    assert (attempt["status"], attempt["headers"]["x-seen"], attempt["error"]) == (204, "yes", None)
    assert "canary" not in json.dumps(attempt)
    assert attempt["duration_ms"] >= 0


def test_the_reference_library_verifies_what_is_sent(receiver, stub):
    send(receiver, n=1)
    run_once()
    [asked] = stub.asked
    assert Oracle(SECRET).verify(asked.body, dict(asked.headers))["data"] == {"n": 1}


def test_both_secrets_sign_while_one_is_rotated(receiver, stub):
    _, secret = subscriptions.rotate_subscription_secret(subscription=receiver)
    send(receiver, n=1)
    run_once()
    [asked] = stub.asked
    assert len(asked.headers["webhook-signature"].split(" ")) == 2
    for each in (secret, SECRET):
        assert Oracle(each).verify(asked.body, dict(asked.headers))["data"] == {"n": 1}


def test_attempts_follow_the_schedule_until_none_is_left(receiver, stub, frozen_clock):
    delivery = send(receiver)
    waits = []
    for _ in range(len(constants.RETRY_AFTER) + 1):
        stub.reply(500, text="broken")
        assert run_once() == 1
        assert run_once() == 0  # not before its time
        delivery = fresh(delivery)
        if delivery.status == "pending":
            waits.append(delivery.next_attempt_at - clock.now())
            frozen_clock.moment = delivery.next_attempt_at
    assert (delivery.status, delivery.attempt, len(delivery.attempts)) == ("dead", 10, 10)
    for wait, wanted in zip(waits, constants.RETRY_AFTER, strict=True):
        assert wanted * 0.9 <= wait <= wanted * 1.1 + timedelta(seconds=5)
    assert len({asked.headers["webhook-id"] for asked in stub.asked}) == 1
    assert len({asked.body for asked in stub.asked}) == 1
    assert len({asked.headers["webhook-timestamp"] for asked in stub.asked}) == 10
    total = sum(waits, timedelta())
    assert timedelta(days=2, hours=12) < total < timedelta(days=4)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("120", 120), ("Thu, 01 Jan 2026 12:10:00 GMT", 600), ("99999999", 86_400), ("1", 5), ("soon", 5), ("-5", 5)],
)
def test_retry_after_is_heeded(receiver, stub, frozen_clock, text, seconds):
    delivery = send(receiver)
    stub.reply(429, headers={"Retry-After": text})
    run_once()
    wait = fresh(delivery).next_attempt_at - clock.now()
    assert timedelta(seconds=seconds * 0.9) <= wait <= timedelta(seconds=seconds * 1.1 + 1)


@pytest.mark.parametrize("status", [302, 400, 404, 500])
def test_whatever_is_not_2xx_has_failed_and_redirects_are_not_followed(receiver, stub, status):
    delivery = send(receiver)
    stub.reply(status, headers={"Location": stub.url + "/elsewhere"})
    run_once()
    assert [asked.path for asked in stub.asked] == ["/hooks"]
    assert (fresh(delivery).status, delivery.attempts[0]["status"]) == ("pending", status)


def test_no_answer_is_an_attempt_too(receiver, stub):
    delivery = send(receiver)
    stub.reply(hang_up=True)
    run_once()
    [attempt] = fresh(delivery).attempts
    assert (attempt["status"], attempt["error"].split(":")[0]) == (None, "connection_failed")


def test_a_target_that_leads_inside_by_now_is_refused_at_the_connection(receiver, stub, settings):
    delivery = send(receiver)
    settings.ALLOW_PRIVATE_TARGETS = []
    run_once()
    assert fresh(delivery).attempts[0]["error"].startswith("target_refused")
    assert stub.asked == []


def test_of_a_large_answer_the_beginning_is_kept(receiver, stub):
    delivery = send(receiver)
    stub.reply(200, text="x" * 100_000)
    run_once()
    assert fresh(delivery).status == "delivered"
    assert len(delivery.attempts[0]["body"]) == 4096


def test_a_gone_receiver_is_disabled_and_others_are_told(receiver, stub):
    send(receiver)
    stub.reply(410)
    run_once()
    assert fresh(receiver).enabled is False
    assert receiver.disabled_reason.startswith("410")
    told = Event.objects.get()
    assert (told.name, told.payload["subscription_id"]) == ("subscription.disabled", str(receiver.pk))


def test_what_is_on_its_way_when_it_is_disabled_is_sent_once_it_is_enabled(receiver):
    waiting = send(receiver)
    subscriptions.update_subscription(subscription=receiver, changes={"enabled": False})
    assert run_once() == 0
    subscriptions.update_subscription(subscription=receiver, changes={"enabled": True})
    run_once()
    assert fresh(waiting).status == "delivered"


def test_five_days_of_failures_disable(receiver, stub, frozen_clock):
    send(receiver)
    stub.reply(500)
    run_once()
    assert (fresh(receiver).failure_count, receiver.failing_since) == (1, clock.now())
    frozen_clock.advance(5 * 86_400 - 1)
    stub.reply(500)
    run_once()
    assert fresh(receiver).enabled
    frozen_clock.advance(86_400)
    stub.reply(500)
    run_once()
    assert not fresh(receiver).enabled
    assert Event.objects.get().name == "subscription.disabled"


def test_one_success_ends_a_row_of_failures(receiver, stub, frozen_clock):
    send(receiver)
    stub.reply(500)
    run_once()
    frozen_clock.advance(10)
    run_once()
    assert (fresh(receiver).failure_count, receiver.failing_since) == (0, None)


def test_a_redelivery_begins_the_schedule_anew(receiver, stub):
    delivery = send(receiver)
    Delivery.objects.update(status="dead", next_attempt_at=None, attempt=10)
    subscriptions.redeliver(delivery=delivery)
    stub.reply(500)
    run_once()
    assert (fresh(delivery).status, delivery.attempt) == ("pending", 1)


# --- the queue ----------------------------------------------------------------------------------------------------


def test_what_is_claimed_is_nobody_elses_until_its_lease_ends(receiver, frozen_clock):
    send(receiver)
    assert len(claim_deliveries(receiver, clock.now(), 10)) == 1
    assert claim_deliveries(receiver, clock.now(), 10) == []
    assert due_subscriptions(clock.now()) == []
    frozen_clock.advance(30)
    assert len(claim_deliveries(receiver, clock.now(), 10)) == 1


def test_a_late_result_changes_nothing(receiver, stub, frozen_clock):

    delivery = send(receiver)
    [late] = claim_deliveries(receiver, clock.now(), 10)
    frozen_clock.advance(31)
    run_once()
    record_outcomes([Outcome(claimed=late, at=clock.now(), duration_ms=1, status=500)])
    assert (fresh(delivery).status, len(delivery.attempts)) == ("delivered", 1)
    assert fresh(receiver).failure_count == 0


def test_an_attempt_that_was_stopped_does_not_count(receiver):

    delivery = send(receiver)
    [claimed] = claim_deliveries(receiver, clock.now(), 10)
    record_outcomes([Outcome(claimed=claimed, at=clock.now(), duration_ms=1, released=True)])
    assert (fresh(delivery).attempt, delivery.attempts) == (0, [])
    assert delivery.next_attempt_at <= clock.now()


def test_nothing_is_sent_without_a_secret_that_opens(receiver, stub, settings, caplog):
    send(receiver)
    settings.SECRET_KEYS = ["another"]
    assert run_once() == 0
    assert "its secret" in caplog.text


def test_old_deliveries_are_cleaned_away(receiver):
    send(receiver)
    now = clock.now()
    assert purge_deliveries(now=now, limit=10) == 0
    assert purge_deliveries(now=now + constants.DELIVERIES_KEPT_FOR, limit=10) == 1


def test_a_round_with_nothing_due_costs_one_statement(receiver, own_queries):
    with own_queries:
        assert run_once() == 0
    assert len(own_queries.statements) == 1


def test_a_deleted_subscriptions_deliveries_are_left_alone(receiver, stub):
    send(receiver)
    Subscription.objects.filter(pk=receiver.pk)._raw_delete("default")
    assert run_once() == 0
    Delivery.objects.all().delete()
