"""Where other systems post to. No caller of ours: a signature, or an API key of the webhook's project."""

import uuid
from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flowforge.api import throttling
from flowforge.api.views import ApiViewSet, Bare, Enveloped
from flowforge.core import clock
from flowforge.core.errors import FlowForgeError
from flowforge.kernel.states import ENDED_RUN_STATUSES
from runs.models import Run
from runs.waiting import wait_until_ended
from webhooks import constants, selectors, signatures
from webhooks.api import docs
from webhooks.incoming import Incoming, kept_headers, kept_query
from webhooks.models import Webhook
from webhooks.proof import prove
from webhooks.services.receiving import Proof, Receipt, note_rejection, receive_call


class IngestViewSet(ApiViewSet):
    """`/v1/webhooks/{id}/ingest`."""

    public = True  # who may call is asked below, once it is known which webhook is meant
    any_query = True
    errors = {"ingest": (401, 403, 404, 409, 415, 422)}

    @extend_schema(**docs.INGEST)
    def ingest(self, request: Request, webhook_id: uuid.UUID) -> HttpResponse:
        """Post an event.

        With `X-API-KEY`, a key of the webhook's project that has `runs:write`, or with the signature of its scheme
        over the raw body. A timestamp may be 5 minutes off; each signed id is taken once, a repeat is answered 200
        with the same run and `Idempotent-Replayed: true`. 202 once the call and its run are on disk; 200 with
        `run_id: null` where the filter says no. JSON, form and text bodies of at most 1 MiB.
        """
        webhook = selectors.open_webhook(webhook_id)
        headers = {name.lower(): value for name, value in request.headers.items()}
        incoming = _incoming(webhook, request, headers)
        try:
            proof = self._admit(webhook, headers, incoming)
        except FlowForgeError as error:
            if error.status < 500:
                note_rejection(webhook=webhook, incoming=incoming, error=error)
            raise
        return _answer(webhook, receive_call(webhook=webhook, incoming=incoming, proof=proof))

    def _admit(self, webhook: Webhook, headers: Mapping[str, str], incoming: Incoming) -> Proof:
        """Raises what `prove` does, and RateLimited (429)."""
        proof = prove(webhook, headers, incoming, clock.now())
        project = webhook.workflow.project
        limits: Mapping[str, str] = project.settings.get("rate_limits") or {}
        throttling.count_on_project(self.request, "runs", project.pk, limits)
        return proof


def _incoming(webhook: Webhook, request: Request, headers: Mapping[str, str]) -> Incoming:
    signatures_in = signatures.headers_of(webhook.signature_scheme, webhook.signature_header)
    return Incoming(
        headers=kept_headers(headers, signatures_in),
        query=kept_query(dict(request.GET.lists())),
        content_type=headers.get("content-type", ""),
        body=request.body,
    )


def _answer(webhook: Webhook, receipt: Receipt) -> HttpResponse:
    if receipt.challenge is not None:
        return Bare({"challenge": receipt.challenge})
    run_id = receipt.call.run_id
    shown: dict[str, Any] = {"delivery_id": receipt.call.pk, "run_id": run_id}
    headers = {"Idempotent-Replayed": "true"} if receipt.repeated else {}
    status = 200 if receipt.repeated or run_id is None else 202
    if webhook.response == constants.WAIT and run_id is not None and wait_until_ended(run_id, constants.WAIT_SECONDS):
        ended = Run.objects.filter(pk=run_id, status__in=ENDED_RUN_STATUSES).values("status", "outputs", "error")
        shown |= ended.first() or {}
        status = 200
    if status == 202:
        headers["Location"] = f"/v1/runs/{run_id}"
    return Enveloped(shown, status=status, headers=headers)
