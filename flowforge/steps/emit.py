"""`emit`: tell the project."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from flowforge.core import json
from flowforge.core.errors import Fault
from flowforge.steps.base import BaseStep, Completed, Context, Failed, Kind, Outcome, StepCancelled
from flowforge.steps.values import EVENT_NAME, RESERVED_DETAIL, is_reserved_event

MAX_PAYLOAD_BYTES: Final = 1024 * 1024


class Emit(BaseStep):
    """Publishes an event of the project, once however often the step is tried."""

    name: ClassVar[str] = "emit"
    title: ClassVar[str] = "Emit an event"
    description: ClassVar[str] = "Publishes an event of the project, for whatever waits for it."
    kind: ClassVar[Kind] = "effect"
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "required": ["event"],
        "additionalProperties": False,
        "properties": {
            "event": {"type": "string", "pattern": f"^{EVENT_NAME}$", "title": "Event", "examples": ["order.paid"]},
            "payload": {"type": "object", "title": "Payload", "description": "What the event says."},
        },
    }
    output_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "required": ["id", "event", "matched"],
        "properties": {
            "id": {"type": "string", "description": "Of the event."},
            "event": {"type": "string"},
            "matched": {"type": "integer", "description": "How many waiting steps it has ended."},
        },
    }

    def check(self, config: Mapping[str, Any]) -> list[Fault]:
        event = config.get("event")
        if not isinstance(event, str) or not is_reserved_event(event):
            return []
        return [Fault(pointer="/event", code="reserved_event", detail=RESERVED_DETAIL)]

    def run(self, context: Context) -> Outcome:
        if context.cancel.is_set:
            raise StepCancelled(context.cancel.reason)
        event = context.config["event"]
        if is_reserved_event(event):
            return Failed(code="reserved_event", message=RESERVED_DETAIL, retryable=False)
        payload = json.sanitize(context.config.get("payload", {}))[0]
        size = len(json.dumps(payload))
        if size > MAX_PAYLOAD_BYTES:
            message = f"The payload has {size} bytes; at most {MAX_PAYLOAD_BYTES} can be published."
            return Failed(code="payload_too_large", message=message, retryable=False)
        published = context.events.publish(event=event, payload=payload, key=context.idempotency_key)
        if published.unclear:
            context.log("warning", f"{published.unclear} steps wait on: their match could not be evaluated")
        return Completed(output={"id": published.id, "event": event, "matched": published.matched})
