"""How webhooks, calls, subscriptions and deliveries look in an answer (api.md, section 8)."""

from typing import Any, Final

from flowforge.core import json
from webhooks.models import Call, Delivery, Subscription, Webhook

INGEST: Final = "/v1/webhooks/{}/ingest"
_BY_THE_WAY: Final = ("last_received_at", "failure_count", "url", "secret")


def webhook(row: Webhook, base: str, *, secret: str | None = None) -> dict[str, Any]:
    """A webhook; `base` is this server as clients call it, `secret` known when it is made and never again."""
    shown = {
        "id": row.pk,
        "project_id": row.project_id,
        "workflow_id": row.workflow_id,
        "name": row.name,
        "url": base + INGEST.format(row.pk),
        "auth": row.auth,
        "signature_scheme": row.signature_scheme,
        "signature_header": row.signature_header,
        "event_filter": row.event_filter,
        "input_mapping": row.input_mapping,
        "dedupe": row.dedupe,
        "response": row.response,
        "enabled": row.enabled,
        "last_received_at": row.last_received_at,
        "secret_rotates_until": row.old_secret_expires_at,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }
    return shown if secret is None else {**shown, "secret": secret}


def state_of(shown: dict[str, Any]) -> dict[str, Any]:
    """What an entity tag is of: not what calls and deliveries change by the way, nor by which name this server is."""
    return {name: value for name, value in shown.items() if name not in _BY_THE_WAY}


def call(row: Call) -> dict[str, Any]:
    """A call, with the beginning of its body."""
    excerpt = getattr(row, "excerpt", None)
    return {
        "id": row.pk,
        "webhook_id": row.webhook_id,
        "decision": row.decision,
        "reason": row.reason or None,
        "detail": row.detail or None,
        "run_id": row.run_id,
        "event": row.event,
        "verified_by": row.verified_by or None,
        "replay_of": row.replay_of,
        "content_type": row.content_type,
        "headers": row.headers,
        "query": row.query,
        "size": row.size,
        "body": None if excerpt is None else bytes(excerpt).decode("utf-8", "replace"),
        "received_at": row.created_at,
    }


def subscription(row: Subscription, *, secret: str | None = None) -> dict[str, Any]:
    """A subscription; `secret` is known when it is made and never again."""
    shown = {
        "id": row.pk,
        "project_id": row.project_id,
        "workflow_id": row.workflow_id,
        "url": row.url,
        "events": row.events,
        "description": row.description,
        "enabled": row.enabled,
        "disabled_reason": row.disabled_reason,
        "failure_count": row.failure_count,
        "secret_rotates_until": row.old_secret_expires_at,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }
    return shown if secret is None else {**shown, "secret": secret}


def delivery(row: Delivery) -> dict[str, Any]:
    """A delivery with all that is kept of its attempts."""
    return {
        "id": row.pk,
        "subscription_id": row.subscription_id,
        "event": row.event,
        "status": row.status,
        "attempt": row.attempt,
        "next_attempt_at": row.next_attempt_at,
        "delivered_at": row.delivered_at,
        "created_at": row.created_at,
        "attempts": row.attempts,
    }


def delivery_in_full(row: Delivery) -> dict[str, Any]:
    """The same with what is sent."""
    return {**delivery(row), "body": json.loads_trusted(row.body)}
