"""What the OpenAPI document says of subscriptions and deliveries."""

from typing import Final

from drf_spectacular.types import OpenApiTypes

from flowforge.api.operations import AT, Operation, asked, given, query
from webhooks import constants
from webhooks.api.docs import PROJECT, RUN, WORKFLOW
from webhooks.api.outbound_serializers import (
    DeliveryInFull,
    DeliveryShown,
    NewSubscriptionBody,
    NewSubscriptionShown,
    NothingBody,
    RedeliverBody,
    RedeliveredShown,
    SubscriptionBody,
    SubscriptionRotationBody,
    SubscriptionShown,
)

_ID: Final = "01981f5e-2a4b-7c3d-8e9f-0a1b2c3d4e60"
_DELIVERY_ID: Final = "01981f5e-5b5c-7d3e-8f9a-0b1c2d3e4f61"
_NEW: Final = {"url": "https://example.com/hooks", "events": ["workflow.failed", "order.*"]}
_SUBSCRIPTION: Final = {
    "id": _ID,
    "project_id": PROJECT,
    "workflow_id": None,
    **_NEW,
    "description": "",
    "enabled": True,
    "disabled_reason": None,
    "failure_count": 0,
    "secret_rotates_until": None,
    "created_at": AT,
    "updated_at": AT,
}
_SECRET: Final = {"secret": "whsec_…"}
_DELIVERY: Final = {
    "id": _DELIVERY_ID,
    "subscription_id": _ID,
    "event": "workflow.failed",
    "status": "delivered",
    "attempt": 1,
    "next_attempt_at": None,
    "delivered_at": AT,
    "created_at": AT,
    "attempts": [
        {"at": AT, "status": 204, "headers": {"date": "…"}, "body": "", "error": None, "duration_ms": 31},
    ],
}
_BODY: Final = {
    "event": "workflow.failed",
    "timestamp": AT,
    "data": {
        "workflow_id": WORKFLOW,
        "workflow_name": "Daily import",
        "run_id": RUN,
        "project_id": PROJECT,
        "status": "failed",
        "error": {"code": "timeout", "message": "no answer within 30 s", "step": "fetch"},
    },
}

LIST: Final[Operation] = {
    "operation_id": "subscriptions_list",
    "parameters": [query("project_id", "Of this project.", OpenApiTypes.UUID)],
    "responses": SubscriptionShown(many=True),
    "examples": [given(_SUBSCRIPTION)],
}
CREATE: Final[Operation] = {
    "operation_id": "subscriptions_create",
    "request": NewSubscriptionBody,
    "responses": {201: NewSubscriptionShown},
    "examples": [asked(_NEW), given(_SUBSCRIPTION | _SECRET, "201")],
}
RETRIEVE: Final[Operation] = {
    "operation_id": "subscriptions_retrieve",
    "responses": SubscriptionShown,
    "examples": [given(_SUBSCRIPTION)],
}
PATCH: Final[Operation] = {
    "operation_id": "subscriptions_partial_update",
    "request": SubscriptionBody,
    "responses": SubscriptionShown,
    "examples": [asked({"enabled": True}), given(_SUBSCRIPTION)],
}
DESTROY: Final[Operation] = {"operation_id": "subscriptions_destroy", "responses": {204: None}}
TEST: Final[Operation] = {
    "operation_id": "subscriptions_test",
    "request": NothingBody,
    "responses": {202: DeliveryShown},
    "examples": [
        asked({}),
        given(_DELIVERY | {"event": "subscription.test", "status": "pending", "attempt": 0, "attempts": []}, "202"),
    ],
}
ROTATE: Final[Operation] = {
    "operation_id": "subscriptions_rotate_secret",
    "request": SubscriptionRotationBody,
    "responses": NewSubscriptionShown,
    "examples": [asked({"overlap": "1h"}), given(_SUBSCRIPTION | _SECRET | {"secret_rotates_until": AT})],
}
REDELIVER_MANY: Final[Operation] = {
    "operation_id": "subscriptions_redeliver",
    "request": RedeliverBody,
    "responses": {202: RedeliveredShown},
    "examples": [
        asked({"since": "2026-01-01T00:00:00Z", "status": ["dead"]}),
        given({"matched": 12, "has_more": False}, "202"),
    ],
}
DELIVERIES: Final[Operation] = {
    "operation_id": "subscriptions_deliveries_list",
    "parameters": [
        query("status", "Those that stand so.", enum=constants.STATUSES),
        query("event", "Of this event."),
    ],
    "responses": DeliveryShown(many=True),
    "examples": [given(_DELIVERY)],
}
DELIVERY: Final[Operation] = {
    "operation_id": "deliveries_retrieve",
    "responses": DeliveryInFull,
    "examples": [given(_DELIVERY | {"body": _BODY})],
}
REDELIVER: Final[Operation] = {
    "operation_id": "deliveries_redeliver",
    "request": NothingBody,
    "responses": {202: DeliveryShown},
    "examples": [asked({}), given(_DELIVERY | {"status": "pending", "attempt": 0, "next_attempt_at": AT}, "202")],
}
