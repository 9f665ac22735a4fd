"""The parts of the OpenAPI document that all operations share."""

from collections.abc import Iterable
from typing import Any, Final

from flowforge.api import catalogue
from flowforge.api.problems import MEDIA_TYPE, TYPE_BASE

Schema = dict[str, Any]

SECURITY_SCHEMES: Final[dict[str, Schema]] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An access token of `POST /v1/auth/token`, or an API key (`ffk_…`).",
    },
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-KEY", "description": "An API key (`ffk_…`)."},
}
SUCCESS: Final = {
    "200": "The answer.",
    "201": "Created; `Location` tells where it is.",
    "202": "Accepted; `Location` tells what to poll.",
    "204": "Done; there is nothing to say.",
}
EVERYWHERE: Final = ("X-Trace-Id", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")

_HEADERS: Final[dict[str, Schema]] = {
    "X-Trace-Id": {"description": "The trace that this call is part of.", "schema": {"type": "string"}},
    "X-RateLimit-Limit": {"description": "How many calls the window holds.", "schema": {"type": "integer"}},
    "X-RateLimit-Remaining": {"description": "How many are left.", "schema": {"type": "integer"}},
    "X-RateLimit-Reset": {"description": "When all are free again, Unix seconds.", "schema": {"type": "integer"}},
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}},
    "Location": {"description": "Where the resource is.", "schema": {"type": "string", "format": "uri-reference"}},
    "ETag": {"description": "A strong tag of this state, for conditions.", "schema": {"type": "string"}},
    "Allow": {"description": "The methods that the resource has.", "schema": {"type": "string"}},
    "WWW-Authenticate": {"description": "How to present credentials.", "schema": {"type": "string"}},
    "Idempotent-Replayed": {
        "description": "`true`: this is the stored answer of an earlier call with the same key.",
        "schema": {"type": "string", "const": "true"},
    },
}
_EXTRA_HEADERS: Final = {401: ("WWW-Authenticate",), 405: ("Allow",), 429: ("Retry-After",), 503: ("Retry-After",)}


def parameter(name: str, schema: Schema, description: str = "", *, place: str = "query") -> Schema:
    """A parameter object; not required."""
    described = {"description": description} if description else {}
    return {"in": place, "name": name, "schema": schema, **described}


_TAG = {"type": "string"}
HEADER_PARAMETERS: Final[dict[str, Schema]] = {
    entry["name"]: entry
    for entry in (
        parameter("traceparent", _TAG, "W3C Trace Context: the trace to continue.", place="header"),
        parameter(
            "Idempotency-Key",
            {"type": "string", "minLength": 1, "maxLength": 255},
            "The same key and body within 24 hours give the same answer, and are done once.",
            place="header",
        ),
        parameter("If-Match", _TAG, "Go on only if this is still the resource's `ETag` (412).", place="header"),
        parameter("If-None-Match", _TAG, "Answer 304 if this is still the resource's `ETag`.", place="header"),
    )
}


def problem_name(status: str) -> str:
    """The component that describes the answers of an error status."""
    return f"Problem{status}"


def header_refs(names: Iterable[str]) -> dict[str, Schema]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def shared() -> dict[str, dict[str, Schema]]:
    """What goes under `components`."""
    return {
        "schemas": {"Meta": _meta(), "ListMeta": _list_meta(), "Fault": _fault(), "Problem": _problem()},
        "responses": _problem_responses(),
        "headers": _HEADERS,
        "securitySchemes": SECURITY_SCHEMES,
    }


def _meta() -> Schema:
    return {"type": "object", "description": "Beside the data; empty for a single thing.", "additionalProperties": True}


def _list_meta() -> Schema:
    cursor = {"cursor": {"type": ["string", "null"]}, "has_more": {"type": "boolean"}}
    counts = {name: {"type": "integer", "minimum": 0} for name in ("total", "page", "limit", "total_pages")}
    return {
        "description": "How to go on: by cursor, or numbered where `?page=` was asked for.",
        "oneOf": [
            {"type": "object", "required": list(cursor), "properties": cursor},
            {"type": "object", "required": list(counts), "properties": counts},
        ],
    }


def _fault() -> Schema:
    texts = {
        "pointer": "RFC 6901 pointer into the body.",
        "code": "Stable, for programs.",
        "detail": "For people.",
    }
    properties = {name: {"type": "string", "description": text} for name, text in texts.items()}
    return {"type": "object", "required": list(texts), "properties": properties}


def _problem() -> Schema:
    return {
        "type": "object",
        "description": "Problem details, RFC 9457.",
        "required": ["type", "title", "status", "detail", "instance", "code", "trace_id"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "instance": {"type": "string", "format": "uri-reference"},
            "code": {"type": "string", "enum": [entry["code"] for entry in catalogue.entries()]},
            "trace_id": {"type": ["string", "null"]},
            "errors": {"type": "array", "items": {"$ref": "#/components/schemas/Fault"}},
        },
    }


def _problem_responses() -> dict[str, Schema]:
    """One response for each status, with an example for each code that comes with it."""
    by_status: dict[int, list[dict[str, Any]]] = {}
    for entry in catalogue.entries():
        by_status.setdefault(entry["status"], []).append(entry)
    return {problem_name(str(status)): _response(status, entries) for status, entries in by_status.items()}


def _response(status: int, entries: list[dict[str, Any]]) -> Schema:
    return {
        "description": " ".join(f"`{entry['code']}`: {entry['description']}" for entry in entries),
        "headers": header_refs((*EVERYWHERE, *_EXTRA_HEADERS.get(status, ()))),
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {entry["code"]: {"value": _example(entry)} for entry in entries},
            }
        },
    }


def _example(entry: dict[str, Any]) -> dict[str, Any]:
    document = {
        "type": TYPE_BASE + entry["code"],
        "title": entry["title"],
        "status": entry["status"],
        "detail": entry["description"],
        "instance": "/v1/workflows",
        "code": entry["code"],
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
    }
    if entry["code"] == "invalid":
        document["errors"] = [{"pointer": "/nodes/3/config/url", "code": "required", "detail": "This is required."}]
    return document
