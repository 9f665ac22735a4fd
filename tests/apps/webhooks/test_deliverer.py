"""The threads that send: one receiver that hangs delays no other, and a process that ends hands back."""

import threading
from collections.abc import Iterator

import pytest
from django.db import OperationalError

from tests.apps.webhooks.conftest import make_subscription
from tests.support import http_stub
from webhooks.deliverer import Deliverer
from webhooks.models import Delivery, Subscription
from webhooks.services.outbox import add_delivery

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def hanging() -> Iterator[http_stub.HttpStub]:
    """Answers nothing before the test is over."""
    held = threading.Event()
    with http_stub.serve() as server:
        for _ in range(100):
            server.reply(200, release=held)
        yield server
        held.set()


@pytest.fixture
def deliverer(settings: object) -> Iterator[Deliverer]:
    settings.ALLOW_PRIVATE_TARGETS = ["127.0.0.1"]  # type: ignore[attr-defined]
    made = Deliverer(threads=8)
    made.start()
    yield made
    made.stop(0.1)


def send(subscription: Subscription, count: int) -> None:
    for number in range(count):
        add_delivery(subscription=subscription, event="order.paid", data={"n": number})


def wait_until(stub: http_stub.HttpStub, count: int) -> None:
    """The stub has been asked so often."""
    for _ in range(1_000):
        if len(stub.asked) >= count:
            return
        stub.arrived.clear()
        stub.arrived.wait(0.02)
    raise AssertionError(f"asked {len(stub.asked)} times, not {count}")


def test_it_works(project, stub, hanging, deliverer):
    """Receivers that hang, more of them than there are threads, and one that answers."""
    well = make_subscription(project, url=stub.url)
    send(well, 1)
    deliverer.ring()
    wait_until(stub, 1)
    for number in range(10):
        send(make_subscription(project, url=f"{hanging.url}/{number}"), 10)
    deliverer.ring()
    wait_until(hanging, 4)
    send(well, 49)
    deliverer.ring()
    wait_until(stub, 50)
    assert len(hanging.asked) <= 6  # three quarters of the threads
    deliverer.stop(0.1)
    assert Delivery.objects.filter(subscription=well, status="delivered").count() == 50
    held = Delivery.objects.exclude(subscription=well)
    assert held.filter(status="pending").count() == 100
    assert not held.exclude(attempts=[]).exists()  # stopped, and handed back as if they had not begun


def test_a_receiver_that_answers_gets_more_at_a_time(project, stub, deliverer):
    send(make_subscription(project, url=stub.url), 30)
    deliverer.ring()
    wait_until(stub, 30)
    assert len({asked.headers["webhook-id"] for asked in stub.asked}) == 30


def test_trouble_with_the_database_ends_nothing(project, stub, deliverer, monkeypatch):

    calls = []

    def fail_once(*args: object, **kwargs: object) -> list[Subscription]:
        calls.append(args)
        if len(calls) == 1:
            raise OperationalError("away")
        return list(Subscription.objects.all())

    monkeypatch.setattr("webhooks.deliverer.due_subscriptions", fail_once)
    monkeypatch.setattr("webhooks.deliverer._TROUBLE_SECONDS", 0.01)
    send(make_subscription(project, url=stub.url), 1)
    deliverer.ring()
    wait_until(stub, 1)
    assert len(calls) > 1


def test_stopping_what_has_not_begun_is_nothing():
    assert Deliverer(threads=1).stop(0.1) is None
