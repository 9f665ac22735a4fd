"""Secrets of every kind, given to the API in good and bad calls and used in runs: none is told or stored readably."""

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from flowforge.core import clock
from flowforge.credentials.services import expiry
from flowforge.engine.execution import step_settings
from flowforge.projects.models import Project
from runs.services.publishing import resume_matching
from tests import factories
from tests.engine.conftest import Flow, chain
from tests.support import canaries
from tests.support.api import ApiClient
from tests.support.http_stub import HttpStub
from webhooks import subscribed
from webhooks.models import Delivery, Webhook
from webhooks.signatures import signature_of

pytestmark = pytest.mark.django_db
CANARY = "canary/7c1+secret word"
MakeFlow = Callable[..., Flow]
STANDARD = "whsec_" + "Q2FuYXJ5" * 4


@pytest.fixture(autouse=True)
def _told(settings: Any, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    settings.ALLOW_PRIVATE_TARGETS = ["*"]
    settings.EVENT_SINKS = ["webhooks.sink.Outbox"]
    step_settings.cache_clear()
    subscribed.forget()
    caplog.set_level(logging.DEBUG)
    yield
    step_settings.cache_clear()
    subscribed.forget()


BAD: list[tuple[str, Any, int]] = [
    ("/v1/credentials", {"name": "a b", "type": "token", "data": {"token": CANARY}}, 422),
    ("/v1/credentials", {"name": "a", "type": "token", "data": CANARY}, 422),
    ("/v1/credentials", {"name": "a", "type": "token", "data": {"token": {"deep": CANARY}}}, 422),
    ("/v1/credentials", {"name": "a", "type": "token", "data": {"token": CANARY, "more": CANARY}}, 422),
    ("/v1/credentials", {"name": "a", "type": "basic", "data": {"password": CANARY}}, 422),
    ("/v1/credentials", {"name": "a", "type": "header", "data": {"name": "X", "value": CANARY + "\n"}}, 422),
    ("/v1/credentials", {"name": "a", "type": "nothing", "data": {"token": CANARY}}, 422),
    ("/v1/credentials", {"name": "a", "type": "token", "token": CANARY}, 422),
    ("/v1/credentials", {"name": "taken", "type": "token", "data": {"token": CANARY}}, 409),
    ("/v1/credentials", b'{"name": "a", "data": {"token": "' + CANARY.encode() + b'"', 400),
    ("/v1/webhooks", {"name": "a", "workflow_id": "{workflow}", "secret": CANARY}, 422),
    ("/v1/subscriptions", {"url": "https://user:" + CANARY.replace(" ", "") + "@example.com/", "events": ["*"]}, 422),
    ("/v1/auth/token", {"username": "nobody", "password": CANARY}, 401),
    ("/v1/auth/token/refresh", {"refresh": CANARY}, 401),
]


@pytest.mark.parametrize(("path", "body", "status"), BAD, ids=str)
def test_problems_repeat_no_secret(
    client: ApiClient, project: Project, caplog: pytest.LogCaptureFixture, path: str, body: Any, status: int
) -> None:
    workflow = factories.make_workflow(project=project)
    factories.make_credential(project=project, name="taken")
    if isinstance(body, dict):
        body = {name: str(workflow.pk) if value == "{workflow}" else value for name, value in body.items()}
    answer = client.post(path, body, headers={"Idempotency-Key": "k"}).expect(status)
    text = answer.body.decode() + caplog.text + canaries.stored()
    assert canaries.found(CANARY, text) == []
    assert canaries.found(CANARY.replace(" ", ""), text) == []


def test_what_is_shown_once_is_stored_sealed(
    client: ApiClient, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """Keys, secrets and their answers, those that an idempotency key keeps included."""
    workflow = factories.make_workflow(project=project)
    once = {"Idempotency-Key": "k"}
    webhook = {"name": "a", "workflow_id": str(workflow.pk), "secret": STANDARD}
    made = [
        client.post("/v1/api-keys", {"name": "a", "scopes": ["runs:read"]}, headers=once).expect(201).data["key"],
        client.post("/v1/webhooks", webhook, headers={"Idempotency-Key": "l"}).expect(201).data["secret"],
        client.post(
            "/v1/subscriptions", {"url": "https://93.184.215.14/", "events": ["*"]}, headers={"Idempotency-Key": "m"}
        )
        .expect(201)
        .data["secret"],
    ]
    given = {"name": "a", "type": "token", "data": {"token": CANARY}}
    shown = client.post("/v1/credentials", given, headers={"Idempotency-Key": "n"}).expect(201)
    text = canaries.stored() + caplog.text
    assert [canaries.found(secret, text) for secret in (*made, CANARY)] == [[]] * 4
    assert canaries.found(CANARY, shown.body.decode() + client.get(shown.headers["Location"]).body.decode()) == []
    for path in ("/v1/webhooks", "/v1/subscriptions", "/v1/api-keys", "/v1/credentials"):
        assert not any(secret in client.get(path).body.decode() for secret in (*made, CANARY))


def test_what_runs_tell_holds_no_secret(
    flow: MakeFlow, client: ApiClient, project: Project, stub: HttpStub, caplog: pytest.LogCaptureFixture
) -> None:
    """Deliveries, inputs of the runs that events start, failures, explanations, the workflow's export."""
    credential = factories.make_credential(project=project, name="api", data={"token": CANARY})
    subscription = {"url": "https://93.184.215.14/", "events": ["*"]}
    client.post("/v1/subscriptions", subscription).expect(201)
    key = "{{ credentials.api.token }}"
    other = factories.make_workflow(project=project)
    factories.make_event_trigger(workflow=other, event="paid")
    stub.reply(500, text=f"no: {CANARY}")
    made = flow(
        chain(
            {"id": "tell", "type": "emit", "config": {"event": "paid", "payload": {"key": key}}},
            {"id": "call", "type": "http", "config": {"url": stub.url, "headers": {"X-Key": key}}},
        )
    )
    run = made.run()
    assert run.status == "failed"
    credential.expires_at = clock.now() - timedelta(seconds=1)
    credential.save()
    assert expiry.run_once(clock.now()) == 1
    resume_matching(clock.now() + timedelta(seconds=60))
    names = set(Delivery.objects.values_list("event", flat=True))
    assert {"paid", "workflow.failed", "credential.expired", "task.completed"} <= names
    read = [
        *(f"/v1/runs/{run.pk}", f"/v1/runs/{run.pk}/events", f"/v1/runs/{run.pk}/explain", "/v1/failures"),
        *(f"/v1/workflows/{made.workflow.pk}/export", f"/v1/workflows/{made.workflow.pk}/graph", "/v1/runs"),
        *("/v1/credentials", "/v1/subscriptions"),
    ]
    text = "".join(client.get(path).expect(200).body.decode() for path in read)
    assert stub.asked[0].headers["x-key"] == CANARY
    assert canaries.found(CANARY, text + canaries.stored() + caplog.text) == []


def test_a_refused_call_leaves_no_secret(client: ApiClient, project: Project, caplog: pytest.LogCaptureFixture) -> None:
    workflow = factories.make_workflow(project=project)
    body = {"name": "a", "workflow_id": str(workflow.pk), "secret": STANDARD}
    webhook = Webhook.objects.get(pk=client.post("/v1/webhooks", body).expect(201).data["id"])
    sent = {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1",
        "webhook-signature": signature_of(STANDARD, message_id="msg_1", timestamp=1, body=b"{}"),
        "X-API-KEY": "ffk_" + "C" * 40,
        "Cookie": f"session={CANARY.replace(' ', '')}",
        "Authorization": f"Basic {CANARY}",
    }
    answer = ApiClient(sent).post(f"/v1/webhooks/{webhook.pk}/ingest", {}).expect(401)
    text = answer.body.decode() + caplog.text + canaries.stored()
    text += client.get(f"/v1/webhooks/{webhook.pk}/deliveries").expect(200).body.decode()
    kept = (CANARY, CANARY.replace(" ", ""), STANDARD, sent["X-API-KEY"], sent["webhook-signature"])
    assert [secret for secret in kept if secret in text] == []
