"""A webhook as the gallery proposes it, from the sender's signature to what the run gives."""

import hashlib
import hmac
import json
from typing import Any

import pytest

from runs.models import Run
from tests.engine.gallery.conftest import Gallery
from tests.support.api import ApiClient
from workflows.services.gallery import item

pytestmark = pytest.mark.django_db

INVOICE: dict[str, Any] = {"type": "invoice.received", "supplier": "Paper Ltd", "number": "7", "total": 10}
LINES = [{"text": "Paper", "quantity": 4, "price": 2.5}]


@pytest.fixture
def hook(gallery: Gallery, client: ApiClient) -> dict[str, Any]:
    """The webhook of invoice-intake, with its secret."""
    body = {"workflow_id": str(gallery.installed["invoice-intake"].pk), **item("invoice-intake").triggers["webhook"]}
    made: dict[str, Any] = client.post("/v1/webhooks", body).expect(201).data
    return made


def deliver(hook: dict[str, Any], payload: dict[str, Any], secret: str | None = None) -> Any:
    raw = json.dumps(payload).encode()
    signature = hmac.new((secret or hook["secret"]).encode(), raw, hashlib.sha256).hexdigest()
    return ApiClient({"X-Signature": f"sha256={signature}"}).post(f"/v1/webhooks/{hook['id']}/ingest", payload)


def test_it_works(gallery: Gallery, hook: dict[str, Any]) -> None:
    first = deliver(hook, {**INVOICE, "lines": LINES}).expect(202).data
    run = gallery.settle(Run.objects.get(pk=first["run_id"]))
    assert run.outputs == {"supplier": "Paper Ltd", "number": "7", "state": "payable"}
    again = deliver(hook, {**INVOICE, "lines": LINES, "sent": "once more"})  # another body, the same invoice
    assert again.data["run_id"] == first["run_id"]
    assert Run.objects.count() == 1


def test_it_rejects_a_wrong_signature_and_takes_no_other_news(hook: dict[str, Any]) -> None:
    deliver(hook, INVOICE, secret="a guess").expect(401)
    assert deliver(hook, {**INVOICE, "type": "invoice.paid"}).expect(200).data["run_id"] is None
    assert not Run.objects.exists()
