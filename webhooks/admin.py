"""Webhooks for people with the admin: read, and steered through the services that the API calls. No secret shows."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from flowforge.core import json
from flowforge.staff import shown
from flowforge.staff.commands import Command
from flowforge.staff.pages import ManyRowsAdmin, ProjectRowsAdmin
from webhooks.models import Call, Delivery, Subscription, Webhook
from webhooks.services.inbound import update_webhook
from webhooks.services.replaying import replay_one
from webhooks.services.subscriptions import redeliver, send_test, update_subscription

_ENABLED = {"enabled": True}
_DISABLED = {"enabled": False}


@admin.register(Webhook)
class WebhookAdmin(ProjectRowsAdmin):
    """Addresses at which other systems start runs."""

    list_display = ("name", "workflow", "project", "auth", "signature_scheme", "enabled", "last_received_at")
    list_filter = ("enabled", ("workflow", AutocompleteSelectFilter), ("project", AutocompleteSelectFilter))
    list_select_related = ("workflow", "project")
    search_fields = ("id", "name")
    fields = (
        *("id", "name", "project", "workflow", "auth", "signature_scheme", "signature_header"),
        *("event_filter", "input_mapping", "dedupe", "response", "enabled"),
        *("last_received_at", "old_secret_expires_at", "created_at", "updated_at"),
    )
    commands = (
        Command(
            name="disable",
            title="Disable",
            explanation="Its address is unknown to callers until it is enabled.",
            done="disabled",
            carry_out=lambda _caller, row: update_webhook(webhook=row, changes=_DISABLED),
            applies=lambda row: row.enabled,
            icon="block",
            destructive=True,
        ),
        Command(
            name="enable",
            title="Enable",
            explanation="It takes calls again.",
            done="enabled",
            carry_out=lambda _caller, row: update_webhook(webhook=row, changes=_ENABLED),
            applies=lambda row: not row.enabled,
            icon="check",
        ),
    )


@admin.register(Call)
class CallAdmin(ManyRowsAdmin):
    """Calls of webhooks, and what was decided upon each."""

    list_display = ("created_at", "webhook", "shown_decision", "reason", "event", "run_id", "size")
    list_filter = ("decision",)
    fields = (
        *("id", "webhook", "decision", "reason", "detail", "run_id", "replay_of", "verified_by", "event"),
        *("content_type", "headers", "query", "size", "shown_body", "created_at"),
    )
    commands = (
        Command(
            name="replay",
            title="Replay",
            explanation="What was sent is read by the webhook's present rules and starts a new run.",
            done="taken again",
            carry_out=lambda caller, row: replay_one(
                webhook=row.webhook, call_id=row.pk, version=None, actor=caller.actor
            ),
            icon="replay",
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Call]:
        """Without the bodies. No join: a planner might begin with the webhooks, and sort."""
        calls: QuerySet[Call] = super().get_queryset(request)
        return calls.defer("body").prefetch_related("webhook")

    @admin.display(description="decision")
    def shown_decision(self, call: Call) -> SafeString:
        return shown.label(call.decision)

    @admin.display(description="body")
    def shown_body(self, call: Call) -> str:
        return "" if call.body is None else bytes(call.body).decode("utf-8", "replace")


@admin.register(Subscription)
class SubscriptionAdmin(ProjectRowsAdmin):
    """Servers elsewhere that are told of events."""

    list_display = ("url", "project", "events", "enabled", "disabled_reason", "failure_count", "failing_since")
    list_filter = ("enabled", ("project", AutocompleteSelectFilter))
    list_select_related = ("project",)
    search_fields = ("id", "url")
    fields = (
        *("id", "url", "project", "workflow", "events", "description", "enabled", "disabled_reason"),
        *("failure_count", "failing_since", "old_secret_expires_at", "created_at", "updated_at"),
    )
    commands = (
        Command(
            name="test",
            title="Send a test",
            explanation="The event subscription.test is sent to it.",
            done="a test is on its way",
            carry_out=lambda caller, row: send_test(subscription=row, actor=caller.actor),
            applies=lambda row: row.enabled,
            icon="send",
        ),
        Command(
            name="disable",
            title="Disable",
            explanation="Nothing is sent until it is enabled. What is on its way waits; later events are not kept.",
            done="disabled",
            carry_out=lambda _caller, row: update_subscription(subscription=row, changes=_DISABLED),
            applies=lambda row: row.enabled,
            icon="block",
            destructive=True,
        ),
        Command(
            name="enable",
            title="Enable",
            explanation="It is told of events again, and gets what waits for it.",
            done="enabled",
            carry_out=lambda _caller, row: update_subscription(subscription=row, changes=_ENABLED),
            applies=lambda row: not row.enabled,
            icon="check",
        ),
    )


@admin.register(Delivery)
class DeliveryAdmin(ManyRowsAdmin):
    """Events on their way to subscriptions."""

    list_display = ("created_at", "event", "subscription", "shown_status", "attempt", "next_attempt_at", "delivered_at")
    list_filter = ("status",)
    fields = (
        *("id", "subscription", "event", "status", "attempt", "next_attempt_at", "delivered_at"),
        *("body", "shown_attempts", "created_at"),
    )
    commands = (
        Command(
            name="redeliver",
            title="Redeliver",
            explanation="It is sent again at once, with the same id; if that fails, by the schedule anew.",
            done="on its way again",
            carry_out=lambda _caller, row: redeliver(delivery=row),
            icon="refresh",
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        """Without the documents. No join: a planner might begin with the subscriptions, and sort."""
        deliveries: QuerySet[Delivery] = super().get_queryset(request)
        return deliveries.defer("body", "attempts").prefetch_related("subscription")

    def name_of(self, row: Any) -> str:
        return f"{row.event} to {row.subscription.url} ({row.status})"

    @admin.display(description="status")
    def shown_status(self, delivery: Delivery) -> SafeString:
        return shown.label(delivery.status)

    @admin.display(description="attempts")
    def shown_attempts(self, delivery: Delivery) -> str:
        return "\n".join(json.text(each) for each in delivery.attempts)
