"""The AsyncAPI 3 document of what is told: deliveries to subscriptions, and the history of runs.

Made of the very schemas that events are checked against (`schemas.RUN_EVENTS`, `outbound.TOLD`).
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from flowforge.events.outbound import TOLD
from flowforge.events.schemas import RUN_EVENTS, Schema
from flowforge.steps.values import EVENT_NAME, RESERVED_DETAIL

Document = dict[str, Any]

_MOMENT: Final[Schema] = {"type": "string", "format": "date-time"}
_ID: Final[Schema] = {"type": "string", "format": "uuid"}
_SIGNED: Final[Schema] = {
    "type": "object",
    "required": ["webhook-id", "webhook-timestamp", "webhook-signature"],
    "properties": {
        "webhook-id": {"type": "string", "description": "The same for every attempt: deliveries may come twice."},
        "webhook-timestamp": {"type": "string", "description": "Unix seconds of the attempt."},
        "webhook-signature": {
            "type": "string",
            "description": "`v1,<base64>` of HMAC-SHA256 over `id.timestamp.body`; two while a secret rotates.",
        },
    },
}


def document() -> Document:
    """The whole of it."""
    deliveries = {f"delivery.{kind.name}": _delivery(kind.name, kind.summary, kind.schema) for kind in TOLD.values()}
    deliveries["delivery.project_event"] = _project_event()
    history = {f"history.{kind.name}": _entry(kind.name, kind.summary, kind.schema) for kind in RUN_EVENTS.values()}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "FlowForge events",
            "version": "1",
            "description": "What FlowForge tells other systems. Readers ignore members that they don't know.",
        },
        "defaultContentType": "application/json",
        "channels": {
            "deliveries": {
                "address": None,
                "title": "Deliveries",
                "description": "Posted to the `url` of each subscription that asks for the event, at least once.",
                "messages": _references(deliveries),
            },
            "history": {
                "address": "/v1/runs/{run_id}/events",
                "title": "History of a run",
                "description": "In order, without gaps; as server-sent events it goes on live.",
                "parameters": {"run_id": {"description": "Id of the run."}},
                "messages": _references(history),
            },
        },
        "operations": {
            "deliver": {
                "action": "send",
                "channel": {"$ref": "#/channels/deliveries"},
                "summary": "Tell a subscriber.",
            },
            "tell": {"action": "send", "channel": {"$ref": "#/channels/history"}, "summary": "Tell a run's history."},
        },
        "components": {"messages": {**deliveries, **history}},
    }


def _references(messages: Iterable[str]) -> Document:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in messages}


def _delivery(name: str, summary: str, data: Schema) -> Document:
    return _message(name, summary, _body({"const": name}, data)) | {"headers": _SIGNED}


def _project_event() -> Document:
    event = {"type": "string", "pattern": f"^{EVENT_NAME}$", "description": RESERVED_DETAIL}
    summary = "What the project's systems (`POST /v1/events`) and steps (`emit`) publish."
    return _message("project event", summary, _body(event, {"type": "object"})) | {"headers": _SIGNED}


def _body(event: Schema, data: Schema) -> Document:
    return {
        "type": "object",
        "required": ["event", "timestamp", "data"],
        "properties": {"event": event, "timestamp": _MOMENT, "data": data},
    }


def _entry(name: str, summary: str, data: Schema) -> Document:
    properties: Mapping[str, Schema] = {
        "seq": {"type": "integer", "minimum": 1},
        "at": _MOMENT,
        "event": {"const": name},
        "run_id": _ID,
        "step_id": {"type": ["string", "null"], "format": "uuid"},
        "data": data,
    }
    required = [each for each in properties if each != "step_id"]
    return _message(name, summary, {"type": "object", "required": required, "properties": properties})


def _message(name: str, summary: str, payload: Schema) -> Document:
    return {"name": name, "title": name, "summary": summary, "payload": payload}
