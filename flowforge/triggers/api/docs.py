"""What the OpenAPI document says of each operation beside the docstring of its action."""

from typing import Any, Final

from drf_spectacular.utils import OpenApiExample

from flowforge.triggers.api.serializers import EventTriggerBody, EventTriggerShown, NewEventTriggerBody
from workflows.bodies import DecisionShown

Operation = dict[str, Any]

_AT: Final = "2026-01-01T12:00:00.123456Z"
_ASKED: Final[dict[str, Any]] = {
    "workflow_id": "01981f5e-0000-7000-8000-000000000002",
    "name": "Ship what is paid",
    "event": "order.paid",
    "match": "payload.total > 0",
    "input_mapping": {"order": "{{ payload.order }}"},
    "dedupe": "payload.order",
}
_SHOWN: Final[dict[str, Any]] = {
    "id": "01981f5e-0000-7000-8000-000000000008",
    "project_id": "01981f5e-0000-7000-8000-000000000001",
    **_ASKED,
    "enabled": True,
    "last_fired_at": _AT,
    "created_at": _AT,
    "updated_at": _AT,
}
_DECIDED: Final = {
    "id": "01981f5e-5b5c-7d3e-8f9a-0b1c2d3e4f5b",
    "at": _AT,
    "decision": "fired",
    "reason": "matched",
    "detail": "event 01981f5e-5b5c-7d3e-8f9a-0b1c2d3e4f5a",
    "due_at": None,
    "until_at": None,
    "run_id": "01981f5e-2a4b-7f00-9a51-3c5d7e9f1b2d",
}


def _asked(value: Any) -> OpenApiExample:
    return OpenApiExample("Request", value=value, request_only=True)


def _given(value: Any, status: str = "200") -> OpenApiExample:
    """Of a list, the value of one item."""
    return OpenApiExample("Answer", value=value, response_only=True, status_codes=[status])


LIST: Final[Operation] = {"responses": EventTriggerShown(many=True), "examples": [_given(_SHOWN)]}
CREATE: Final[Operation] = {
    "request": NewEventTriggerBody,
    "responses": {201: EventTriggerShown},
    "examples": [_asked(_ASKED), _given({**_SHOWN, "last_fired_at": None}, "201")],
}
RETRIEVE: Final[Operation] = {"responses": EventTriggerShown, "examples": [_given(_SHOWN)]}
PATCH: Final[Operation] = {
    "request": EventTriggerBody,
    "responses": EventTriggerShown,
    "examples": [_asked({"enabled": False}), _given({**_SHOWN, "enabled": False})],
}
DESTROY: Final[Operation] = {"responses": {204: None}}
DECISIONS: Final[Operation] = {"responses": DecisionShown(many=True), "examples": [_given(_DECIDED)]}
