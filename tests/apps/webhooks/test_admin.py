"""Webhooks in the admin: seen without their secrets, steered through the services."""

import pytest
from django.test import Client

from flowforge.core import clock
from flowforge.projects.models import User
from runs.models import Run
from tests.apps.webhooks.conftest import SECRET, make_subscription
from webhooks.models import Call, Delivery

pytestmark = pytest.mark.django_db
CONFIRMED = {"_form_submitted": "True"}


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser(username="staff", password="x"))
    return client


def command(staff, row, name):
    """Give a command from the page of a row, as a click and its confirmation do."""
    path = f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/{name}/"
    staff.post(path, CONFIRMED)
    row.refresh_from_db()
    return row


def test_it_works(staff, webhook, post):
    post(webhook, {"order": 7}).expect(202)
    call = Call.objects.get()
    page = staff.get(f"/admin/webhooks/call/{call.pk}/change/").content.decode()
    assert "order" in page
    page = staff.get(f"/admin/webhooks/webhook/{webhook.pk}/change/").content.decode()
    assert webhook.name in page
    assert SECRET not in page
    assert "ciphertext" not in page


def test_a_webhook_can_be_disabled_and_enabled(staff, webhook):
    assert command(staff, webhook, "disable").enabled is False
    assert command(staff, webhook, "enable").enabled is True


def test_a_call_can_be_replayed(staff, webhook, post):
    post(webhook, {"order": 7}).expect(202)
    command(staff, Call.objects.get(), "replay")
    assert Run.objects.count() == 2


def test_a_subscription_can_be_tried_disabled_and_enabled(staff, subscription):
    command(staff, subscription, "test")
    assert Delivery.objects.get().event == "subscription.test"
    assert command(staff, subscription, "disable").disabled_reason == "disabled by hand"
    assert command(staff, subscription, "enable").enabled is True


def test_a_delivery_can_be_sent_again(staff, project):
    dead = Delivery.objects.create(
        subscription=make_subscription(project), event="order.paid", body="{}", status="dead", created_at=clock.now()
    )
    assert command(staff, dead, "redeliver").status == "pending"
