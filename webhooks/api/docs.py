"""What the OpenAPI document says of inbound webhooks."""

from typing import Final

from drf_spectacular.types import OpenApiTypes

from flowforge.api.operations import AT, Operation, asked, given, query
from webhooks import constants
from webhooks.api.serializers import (
    CallReplayBody,
    CallShown,
    CallsReplayBody,
    CallsReplayedShown,
    EndedReceiptShown,
    NewWebhookBody,
    NewWebhookShown,
    ReceiptShown,
    SecretRotationBody,
    WebhookBody,
    WebhookShown,
)

WEBHOOK: Final = "01981f5e-2a4b-7c3d-8e9f-0a1b2c3d4e5f"
CALL: Final = "01981f5e-5b5c-7d3e-8f9a-0b1c2d3e4f5a"
RUN: Final = "01981f5e-2a4b-7f00-9a51-3c5d7e9f1b2d"
WORKFLOW: Final = "01981f5e-0000-7000-8000-000000000002"
PROJECT: Final = "01981f5e-0000-7000-8000-000000000001"

_RULES: Final = {
    "event_filter": "event == 'push' and payload.ref == 'refs/heads/main'",
    "input_mapping": {"commit": "{{ payload.after }}"},
    "dedupe": "payload.after",
}
_NEW: Final = {"name": "pushes", "workflow_id": WORKFLOW, "signature_scheme": "github", "auth": "hmac", **_RULES}
_WEBHOOK: Final = {
    "id": WEBHOOK,
    "project_id": PROJECT,
    "workflow_id": WORKFLOW,
    "name": "pushes",
    "url": f"https://flowforge.example/v1/webhooks/{WEBHOOK}/ingest",
    "auth": "hmac",
    "signature_scheme": "github",
    "signature_header": "X-Signature",
    **_RULES,
    "response": "accepted",
    "enabled": True,
    "last_received_at": AT,
    "secret_rotates_until": None,
    "created_at": AT,
    "updated_at": AT,
}
_SECRET: Final = {"secret": "whsec_…"}
_CALL: Final = {
    "id": CALL,
    "webhook_id": WEBHOOK,
    "decision": "fired",
    "reason": None,
    "detail": None,
    "run_id": RUN,
    "event": "push",
    "verified_by": "hmac",
    "replay_of": None,
    "content_type": "application/json",
    "headers": {"x-github-event": "push"},
    "query": {},
    "size": 52,
    "body": '{"ref": "refs/heads/main", "after": "9f2c1e…"}',
    "received_at": AT,
}
_RECEIPT: Final = {"delivery_id": CALL, "run_id": RUN}


LIST: Final[Operation] = {
    "operation_id": "webhooks_list",
    "parameters": [
        query("project_id", "Of this project.", OpenApiTypes.UUID),
        query("workflow_id", "Those that start this workflow.", OpenApiTypes.UUID),
    ],
    "responses": WebhookShown(many=True),
    "examples": [given(_WEBHOOK)],
}
CREATE: Final[Operation] = {
    "operation_id": "webhooks_create",
    "request": NewWebhookBody,
    "responses": {201: NewWebhookShown},
    "examples": [asked(_NEW), given(_WEBHOOK | _SECRET, "201")],
}
RETRIEVE: Final[Operation] = {
    "operation_id": "webhooks_retrieve",
    "responses": WebhookShown,
    "examples": [given(_WEBHOOK)],
}
PATCH: Final[Operation] = {
    "operation_id": "webhooks_partial_update",
    "request": WebhookBody,
    "responses": WebhookShown,
    "examples": [asked({"enabled": False}), given(_WEBHOOK | {"enabled": False})],
}
DESTROY: Final[Operation] = {"operation_id": "webhooks_destroy", "responses": {204: None}}
ROTATE: Final[Operation] = {
    "operation_id": "webhooks_rotate_secret",
    "request": SecretRotationBody,
    "responses": NewWebhookShown,
    "examples": [asked({"overlap": "1h"}), given(_WEBHOOK | _SECRET | {"secret_rotates_until": AT})],
}
CALLS: Final[Operation] = {
    "operation_id": "webhooks_deliveries_list",
    "parameters": [query("decision", "Those that were decided so.", enum=constants.DECISIONS)],
    "responses": CallShown(many=True),
    "examples": [given(_CALL)],
}
REPLAY: Final[Operation] = {
    "operation_id": "webhooks_deliveries_replay",
    "request": CallReplayBody,
    "responses": {200: ReceiptShown, 202: ReceiptShown},
    "examples": [
        asked({"version": 3}),
        given(_RECEIPT, "202"),
        given({"delivery_id": CALL, "run_id": None}, "200", "The filter says no"),
    ],
}
REPLAY_MANY: Final[Operation] = {
    "operation_id": "webhooks_deliveries_replay_many",
    "request": CallsReplayBody,
    "responses": CallsReplayedShown,
    "examples": [
        asked({"filter": {"decision": ["rejected"], "received_after": "2026-01-01T00:00:00Z"}}),
        given({"matched": 12, "done": 11, "failed": {"invalid": 1}, "has_more": False}),
    ],
}
INGEST: Final[Operation] = {
    "operation_id": "webhooks_ingest",
    "request": {
        "application/json": {},
        "application/x-www-form-urlencoded": {"type": "object", "additionalProperties": True},
        "text/plain": {"type": "string"},
    },
    "responses": {200: EndedReceiptShown, 202: ReceiptShown},
    "auth": [{"apiKey": ["runs:write"]}, {}],
    "examples": [
        asked({"ref": "refs/heads/main", "after": "9f2c1e"}),
        given(_RECEIPT, "202"),
        given(_RECEIPT, "200", "A repeat, or a run that was waited for"),
    ],
}
