"""Inbound webhooks, managed: list, create, read, change, delete, rotate, look at calls, replay them."""

import uuid
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flowforge.api.idempotency import idempotent
from flowforge.api.pagination import Page
from flowforge.api.serializers import body
from flowforge.api.views import ApiViewSet
from flowforge.core.errors import Fault, InvalidBody, InvalidQuery
from flowforge.operating.views import SteeringViews
from flowforge.projects.models import Project
from flowforge.projects.scoping import get_visible
from flowforge.projects.selectors import resolve_project
from webhooks import constants, present, selectors
from webhooks.api import docs
from webhooks.api.serializers import CallReplayBody, CallsReplayBody, NewWebhookBody, SecretRotationBody, WebhookBody
from webhooks.models import Webhook
from webhooks.services import inbound
from webhooks.services.receiving import Receipt
from webhooks.services.replaying import replay_many, replay_one
from workflows.models import Workflow

READ = "webhooks:read"
WRITE = "webhooks:write"


class WebhookViewSet(ApiViewSet):
    """`/v1/webhooks`, `/v1/webhooks/{id}` and `:rotate_secret`."""

    scopes = {
        "list": READ,
        "create": WRITE,
        "retrieve": READ,
        "partial_update": WRITE,
        "destroy": WRITE,
        "rotate_secret": WRITE,
    }
    query_params = {"list": ("project_id", "workflow_id")}

    @extend_schema(**docs.LIST)
    def list(self, request: Request) -> HttpResponse:
        """List webhooks, newest first."""
        rows = Webhook.objects.visible_to(self.caller, READ)
        project_id, workflow_id = request.GET.get("project_id"), request.GET.get("workflow_id")
        if project_id is not None:
            rows = rows.filter(project=get_visible(Project.objects.all(), self.caller, project_id, READ))
        if workflow_id is not None:
            rows = rows.filter(workflow=get_visible(Workflow.objects.all(), self.caller, workflow_id, READ))
        page = self.page(rows)
        return self.ok(Page(rows=[self._shown(row) for row in page.rows], meta=page.meta))

    @extend_schema(**docs.CREATE)
    @idempotent
    def create(self, request: Request) -> HttpResponse:
        """Make a webhook.

        The secret is in this answer and nowhere else. Expressions see `payload`, `headers`, `query` and `event`.
        """
        given = body(NewWebhookBody, request)
        project = resolve_project(self.caller, given.pop("project_id", None), scope=WRITE)
        workflow = _workflow_in(project, given.pop("workflow_id"))
        secret = given.pop("secret", None)
        row, text = inbound.create_webhook(project=project, workflow=workflow, attributes=given, secret=secret)
        shown = self._shown(row)
        return self.created({**shown, "secret": text}, f"/v1/webhooks/{row.pk}", etag_of=present.state_of(shown))

    @extend_schema(**docs.RETRIEVE)
    def retrieve(self, request: Request, webhook_id: uuid.UUID) -> HttpResponse:
        """Read a webhook, without its secret."""
        return self._answer(self._webhook(webhook_id, READ))

    @extend_schema(**docs.PATCH)
    def partial_update(self, request: Request, webhook_id: uuid.UUID) -> HttpResponse:
        """Change a webhook. What is left out stays; null takes a rule away."""
        webhook = self._webhook(webhook_id, WRITE)
        changes = body(WebhookBody, request, partial=True)
        if "workflow_id" in changes:
            changes["workflow"] = _workflow_in(webhook.project, changes.pop("workflow_id"))
        return self._answer(inbound.update_webhook(webhook=webhook, changes=changes, precondition=self._if_match))

    @extend_schema(**docs.DESTROY)
    def destroy(self, request: Request, webhook_id: uuid.UUID) -> HttpResponse:
        """Delete a webhook and what is kept of its calls. Runs that it has started stay."""
        inbound.delete_webhook(webhook=self._webhook(webhook_id, WRITE), precondition=self._if_match)
        return self.no_content()

    @extend_schema(**docs.ROTATE)
    @idempotent
    def rotate_secret(self, request: Request, webhook_id: uuid.UUID) -> HttpResponse:
        """Replace the secret.

        The old one holds for `overlap` beside the new one, so that no call is lost while the sender is told.
        """
        webhook = self._webhook(webhook_id, WRITE)
        row, text = inbound.rotate_secret(webhook=webhook, **body(SecretRotationBody, request))
        shown = self._shown(row)
        return self.ok({**shown, "secret": text}, etag_of=present.state_of(shown))

    def _webhook(self, webhook_id: uuid.UUID, scope: str) -> Webhook:
        return get_visible(Webhook.objects.select_related("project"), self.caller, webhook_id, scope)

    def _answer(self, row: Webhook) -> HttpResponse:
        shown = self._shown(row)
        return self.ok(shown, etag_of=present.state_of(shown))

    def _if_match(self, row: Webhook) -> None:
        self.check_if_match(present.state_of(self._shown(row)))

    def _shown(self, row: Webhook) -> dict[str, Any]:
        return present.webhook(row, self.request.build_absolute_uri("/").rstrip("/"))


class CallViewSet(SteeringViews):
    """`/v1/webhooks/{id}/deliveries`, and replaying them."""

    scopes = {"list": READ, "replay": WRITE, "replay_many": WRITE}
    rate_buckets = {"replay": "runs", "replay_many": "runs"}
    query_params = {"list": ("decision",)}
    errors = {"replay": (409,)}

    @extend_schema(**docs.CALLS)
    def list(self, request: Request, webhook_id: uuid.UUID) -> HttpResponse:
        """List a webhook's calls, newest first, and what was decided upon each.

        Those that were refused as well, with the reason. No credential of theirs is kept.
        """
        rows = selectors.calls_of(self._webhook(webhook_id, READ))
        decision = request.GET.get("decision")
        if decision is not None:
            if decision not in constants.DECISIONS:
                raise InvalidQuery(detail=f"decision is one of {', '.join(constants.DECISIONS)}.")
            rows = rows.filter(decision=decision)
        page = self.page(rows)
        return self.ok(Page(rows=[present.call(row) for row in page.rows], meta=page.meta))

    @extend_schema(**docs.REPLAY)
    @idempotent
    def replay(self, request: Request, webhook_id: uuid.UUID, call_id: uuid.UUID) -> HttpResponse:
        """Take a call again.

        What was stored is read by the webhook's present rules and starts a new run, of `version` if it is given.
        Calls that were not let in are not kept: 409.
        """
        webhook = self._webhook(webhook_id, WRITE)
        version = body(CallReplayBody, request).get("version")
        receipt = replay_one(webhook=webhook, call_id=call_id, version=version, actor=self.caller.actor)
        return self._answer(receipt)

    @extend_schema(**docs.REPLAY_MANY)
    def replay_many(self, request: Request, webhook_id: uuid.UUID) -> HttpResponse:
        """Take many calls again, oldest first, at most 500 a request.

        Those of which a body is kept, by what was decided upon them (`rejected` and `skipped` unless said) and when
        they came. Each by itself: one that fails hinders no other.
        """
        webhook = self._webhook(webhook_id, WRITE)
        given = body(CallsReplayBody, request)
        chosen: Mapping[str, Any] = given["filter"]
        result = replay_many(
            webhook=webhook,
            decisions=chosen.get("decision") or [constants.REJECTED, constants.SKIPPED],
            received_after=chosen.get("received_after"),
            received_before=chosen.get("received_before"),
            version=given.get("version"),
            actor=self.caller.actor,
        )
        return self.ok(asdict(result))

    def _webhook(self, webhook_id: uuid.UUID, scope: str) -> Webhook:
        return get_visible(Webhook.objects.all(), self.caller, webhook_id, scope)

    def _answer(self, receipt: Receipt) -> HttpResponse:
        shown = {"delivery_id": receipt.call.pk, "run_id": receipt.call.run_id}
        if receipt.call.run_id is None:
            return self.ok(shown)
        return self.accepted(shown, f"/v1/runs/{receipt.call.run_id}")


def _workflow_in(project: Project, workflow_id: uuid.UUID) -> Workflow:
    """Of a body: 422 for one that is unknown or of another project."""
    found = Workflow.objects.filter(pk=workflow_id, project=project).first()
    if found is None:
        raise InvalidBody(faults=[Fault(pointer="/workflow_id", code="not_found", detail="There is no such workflow.")])
    return found
