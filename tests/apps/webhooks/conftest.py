"""What the tests of webhooks share."""

import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flowforge.api.models import RateWindow
from flowforge.core import clock
from flowforge.projects import callers
from flowforge.projects.models import Project
from tests import factories
from tests.support.api import Answer, ApiClient
from webhooks import secrets, subscribed
from webhooks.models import Subscription, Webhook
from webhooks.signatures import signature_of
from workflows.models import Workflow

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TYPES = {"json": "application/json", "form": "application/x-www-form-urlencoded", "text": "text/plain"}


@pytest.fixture(autouse=True)
def _no_broker(bell: object) -> None:
    """No test of webhooks reaches a broker."""
    callers.forget_now()


class OwnQueries(CaptureQueriesContext):
    """Statements without those that count calls, which depend on where they are counted."""

    @property
    def statements(self) -> list[str]:
        found = [query["sql"] for query in self.captured_queries]
        return [sql for sql in found if RateWindow._meta.db_table not in sql]


@pytest.fixture
def own_queries() -> OwnQueries:
    """`with own_queries: …` then `assert len(own_queries.statements) == 3`."""
    return OwnQueries(connection)


@pytest.fixture
def workflow(project: Project) -> Workflow:
    return factories.make_workflow(project=project)


@pytest.fixture
def webhook(workflow: Workflow) -> Webhook:
    """Takes Standard Webhooks signed with SECRET, or an API key."""
    return make_webhook(workflow)


def make_webhook(workflow: Workflow, **fields: Any) -> Webhook:
    row = Webhook(**{"project": workflow.project, "workflow": workflow, "name": "hook", **fields})
    row.secret_ciphertext = secrets.seal(row, SECRET)
    row.save(force_insert=True)
    return row


def standard_headers(body: bytes, *, message_id: str = "msg_1", at: float | None = None, secret: str = SECRET) -> dict:
    timestamp = int(clock.now().timestamp() if at is None else at)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature_of(secret, message_id=message_id, timestamp=timestamp, body=body),
    }


def generic_headers(body: bytes) -> dict[str, str]:
    return {"X-Signature": "sha256=" + hmac.new(SECRET.encode(), body, "sha256").hexdigest()}


@pytest.fixture
def post(anonymous: ApiClient) -> Callable[..., Answer]:
    """`post(webhook, {"a": 1})`, signed by the standard; `headers=` instead, `kind="form"`, `query=`."""

    def send(
        webhook: Webhook,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        kind: str = "json",
        query: Mapping[str, str] | None = None,
        **signed: Any,
    ) -> Answer:
        raw = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
        return anonymous.request(
            "POST",
            f"/v1/webhooks/{webhook.pk}/ingest",
            raw,
            headers=standard_headers(raw, **signed) if headers is None else headers,
            query=query,
            content_type=TYPES.get(kind, kind),
        )

    return send


def make_subscription(project: Project, **fields: Any) -> Subscription:
    """Signs with SECRET."""
    given = {"url": "https://93.184.215.14/hooks", "events": ["*"], **fields}
    row = Subscription(project=project, **given)
    row.secret_ciphertext = secrets.seal(row, SECRET)
    row.save(force_insert=True)
    subscribed.forget()
    return row


@pytest.fixture
def subscription(project: Project) -> Subscription:
    """To everything."""
    return make_subscription(project)


@pytest.fixture
def listening(settings: Any) -> None:
    """The outbox hears of events, as it does where nobody tests."""
    settings.EVENT_SINKS = ["webhooks.sink.Outbox"]
    subscribed.forget()
