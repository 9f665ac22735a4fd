"""What the OpenAPI document says of each operation beside the docstring of its action."""

from typing import Any, Final

from flowforge.api.operations import AT, Operation, asked, given
from flowforge.triggers.api.serializers import EventTriggerBody, EventTriggerShown, NewEventTriggerBody
from workflows.bodies import DecisionShown

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
    "last_fired_at": AT,
    "created_at": AT,
    "updated_at": AT,
}
_DECIDED: Final = {
    "id": "01981f5e-5b5c-7d3e-8f9a-0b1c2d3e4f5b",
    "at": AT,
    "decision": "fired",
    "reason": "matched",
    "detail": "event 01981f5e-5b5c-7d3e-8f9a-0b1c2d3e4f5a",
    "due_at": None,
    "until_at": None,
    "run_id": "01981f5e-2a4b-7f00-9a51-3c5d7e9f1b2d",
}


LIST: Final[Operation] = {"responses": EventTriggerShown(many=True), "examples": [given(_SHOWN)]}
CREATE: Final[Operation] = {
    "request": NewEventTriggerBody,
    "responses": {201: EventTriggerShown},
    "examples": [asked(_ASKED), given({**_SHOWN, "last_fired_at": None}, "201")],
}
RETRIEVE: Final[Operation] = {"responses": EventTriggerShown, "examples": [given(_SHOWN)]}
PATCH: Final[Operation] = {
    "request": EventTriggerBody,
    "responses": EventTriggerShown,
    "examples": [asked({"enabled": False}), given({**_SHOWN, "enabled": False})],
}
DESTROY: Final[Operation] = {"responses": {204: None}}
DECISIONS: Final[Operation] = {"responses": DecisionShown(many=True), "examples": [given(_DECIDED)]}
