"""Subscriptions and their deliveries."""

import uuid
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
from flowforge.projects.models import Project
from flowforge.projects.scoping import get_visible
from flowforge.projects.selectors import resolve_project
from webhooks import constants, present
from webhooks.api import outbound_docs as docs
from webhooks.api.outbound_serializers import (
    NewSubscriptionBody,
    NothingBody,
    RedeliverBody,
    SubscriptionBody,
    SubscriptionRotationBody,
)
from webhooks.api.views import READ, WRITE
from webhooks.models import Delivery, Subscription
from webhooks.services import subscriptions
from webhooks.targets import check_target
from workflows.models import Workflow


class SubscriptionViewSet(ApiViewSet):
    """`/v1/subscriptions`, `/v1/subscriptions/{id}`, `:test`, `:rotate_secret`, `:redeliver` and its deliveries."""

    scopes = {
        "list": READ,
        "create": WRITE,
        "retrieve": READ,
        "partial_update": WRITE,
        "destroy": WRITE,
        "test": WRITE,
        "rotate_secret": WRITE,
        "redeliver": WRITE,
        "deliveries": READ,
    }
    query_params = {"list": ("project_id",), "deliveries": ("status", "event")}
    errors = {"test": (409,)}

    @extend_schema(**docs.LIST)
    def list(self, request: Request) -> HttpResponse:
        """List subscriptions, newest first."""
        rows = Subscription.objects.visible_to(self.caller, READ)
        project_id = request.GET.get("project_id")
        if project_id is not None:
            rows = rows.filter(project=get_visible(Project.objects.all(), self.caller, project_id, READ))
        page = self.page(rows)
        return self.ok(Page(rows=[present.subscription(row) for row in page.rows], meta=page.meta))

    @extend_schema(**docs.CREATE)
    def create(self, request: Request) -> HttpResponse:
        """Subscribe a server to events.

        The secret that signs deliveries is in this answer and nowhere else. A private, loopback or link-local address
        is refused, now and at each connection. It holds everywhere within a second.
        """
        check_target(body(NewSubscriptionBody, request)["url"])  # before anything is locked: it asks the resolver
        return self._create(request)

    create.is_idempotent = True  # type: ignore[attr-defined]  # for the OpenAPI document

    @idempotent
    def _create(self, request: Request) -> HttpResponse:
        given = body(NewSubscriptionBody, request)
        project = resolve_project(self.caller, given.pop("project_id", None), scope=WRITE)
        row, secret = subscriptions.create_subscription(project=project, attributes=_attributes(given, project.pk))
        shown = present.subscription(row, secret=secret)
        return self.created(shown, f"/v1/subscriptions/{row.pk}", etag_of=_state(row))

    @extend_schema(**docs.RETRIEVE)
    def retrieve(self, request: Request, subscription_id: uuid.UUID) -> HttpResponse:
        """Read a subscription, without its secret."""
        return self._answer(self._subscription(subscription_id, READ))

    @extend_schema(**docs.PATCH)
    def partial_update(self, request: Request, subscription_id: uuid.UUID) -> HttpResponse:
        """Change a subscription.

        One that is enabled again begins anew, with what was on its way to it. Events that happened meanwhile are not
        kept for it.
        """
        row = self._subscription(subscription_id, WRITE)
        given = body(SubscriptionBody, request, partial=True)
        if "url" in given:
            check_target(given["url"])
        changes = _attributes(given, row.project_id)
        changed = subscriptions.update_subscription(subscription=row, changes=changes, precondition=self._if_match)
        return self._answer(changed)

    @extend_schema(**docs.DESTROY)
    def destroy(self, request: Request, subscription_id: uuid.UUID) -> HttpResponse:
        """Delete a subscription with its deliveries. What has not been sent never is."""
        row = self._subscription(subscription_id, WRITE)
        subscriptions.delete_subscription(subscription=row, precondition=self._if_match)
        return self.no_content()

    @extend_schema(**docs.TEST)
    @idempotent
    def test(self, request: Request, subscription_id: uuid.UUID) -> HttpResponse:
        """Send a test, the event `subscription.test`. What became of it shows in the delivery."""
        body(NothingBody, request)
        row = self._subscription(subscription_id, WRITE)
        sent = subscriptions.send_test(subscription=row, actor=self.caller.actor)
        return self.accepted(present.delivery(sent), f"/v1/deliveries/{sent.pk}")

    @extend_schema(**docs.ROTATE)
    @idempotent
    def rotate_secret(self, request: Request, subscription_id: uuid.UUID) -> HttpResponse:
        """Replace the secret. For `overlap` each delivery carries two signatures, of the new and of the old one."""
        row = self._subscription(subscription_id, WRITE)
        given = body(SubscriptionRotationBody, request)
        row, secret = subscriptions.rotate_subscription_secret(subscription=row, **given)
        return self.ok(present.subscription(row, secret=secret), etag_of=_state(row))

    @extend_schema(**docs.REDELIVER_MANY)
    def redeliver(self, request: Request, subscription_id: uuid.UUID) -> HttpResponse:
        """Send many deliveries again: those since a moment, at most 10,000 a request, oldest first."""
        row = self._subscription(subscription_id, WRITE)
        given = body(RedeliverBody, request)
        statuses = given.get("status") or [constants.DEAD]
        result = subscriptions.redeliver_many(subscription=row, since=given["since"], statuses=statuses)
        return self.accepted(asdict(result), f"/v1/subscriptions/{row.pk}/deliveries")

    @extend_schema(**docs.DELIVERIES)
    def deliveries(self, request: Request, subscription_id: uuid.UUID) -> HttpResponse:
        """List a subscription's deliveries, newest first, each with its attempts. `status=dead`: the dead letters."""
        rows = Delivery.objects.filter(subscription=self._subscription(subscription_id, READ)).defer("body")
        status, event = request.GET.get("status"), request.GET.get("event")
        if status is not None:
            if status not in constants.STATUSES:
                raise InvalidQuery(detail=f"status is one of {', '.join(constants.STATUSES)}.")
            rows = rows.filter(status=status)
        if event is not None:
            rows = rows.filter(event=event)
        page = self.page(rows)
        return self.ok(Page(rows=[present.delivery(row) for row in page.rows], meta=page.meta))

    def _subscription(self, subscription_id: uuid.UUID, scope: str) -> Subscription:
        return get_visible(Subscription.objects.all(), self.caller, subscription_id, scope)

    def _answer(self, row: Subscription) -> HttpResponse:
        return self.ok(present.subscription(row), etag_of=_state(row))

    def _if_match(self, row: Subscription) -> None:
        self.check_if_match(_state(row))


class DeliveryViewSet(ApiViewSet):
    """`/v1/deliveries/{id}` and `:redeliver`."""

    scopes = {"retrieve": READ, "redeliver": WRITE}

    @extend_schema(**docs.DELIVERY)
    def retrieve(self, request: Request, delivery_id: uuid.UUID) -> HttpResponse:
        """Read a delivery: what is sent, and how each attempt went."""
        shown = present.delivery_in_full(self._delivery(delivery_id, READ))
        return self.ok(shown, etag_of=shown)

    @extend_schema(**docs.REDELIVER)
    @idempotent
    def redeliver(self, request: Request, delivery_id: uuid.UUID) -> HttpResponse:
        """Send a delivery again, at once, with the same id and body; if that fails, by the schedule anew."""
        body(NothingBody, request)
        row = subscriptions.redeliver(delivery=self._delivery(delivery_id, WRITE))
        return self.accepted(present.delivery(row), f"/v1/deliveries/{row.pk}")

    def _delivery(self, delivery_id: uuid.UUID, scope: str) -> Delivery:
        return get_visible(Delivery.objects.select_related("subscription"), self.caller, delivery_id, scope)


def _state(row: Subscription) -> dict[str, Any]:
    """What an entity tag is of: an address that changes changes it, a delivery that fails does not."""
    return present.state_of(present.subscription(row)) | {"to": row.url}


def _attributes(given: dict[str, Any], project_id: uuid.UUID) -> dict[str, Any]:
    """The body with its workflow instead of the id. Raises InvalidBody (422) for one of another project."""
    if "workflow_id" not in given:
        return given
    workflow_id = given.pop("workflow_id")
    found = Workflow.objects.filter(pk=workflow_id, project_id=project_id).first() if workflow_id else None
    if workflow_id and found is None:
        raise InvalidBody(faults=[Fault(pointer="/workflow_id", code="not_found", detail="There is no such workflow.")])
    return {**given, "workflow": found}
