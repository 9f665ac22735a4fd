"""The shape of a definition document: which fields stand where, and of which type. A JSON Schema, of use to canvases.

What a schema cannot say (ids, graph, expressions, durations) is checked by the modules beside this one, on what is
left of the document once everything of the wrong shape is taken out of it.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Final

from flowforge.core import pointers
from flowforge.core.errors import Fault
from flowforge.core.json import Json
from flowforge.core.jsonschema import compile_schema

ID_PATTERN: Final = "^[A-Za-z0-9_][A-Za-z0-9_-]{0,99}$"
MAX_RETRIES: Final = 999
ALL_FAULTS: Final = 1_000_000  # more than a body of the largest size can have
UNREADABLE: Final = frozenset({"type", "enum", "unknown_field", "not_json"})

Schema = dict[str, Any]

_DURATION: Final[Schema] = {
    "type": ["string", "number", "null"],
    "description": "500ms, 30s, 5m, 1h30m, 1d, ISO 8601 (PT1H30M) or a number of seconds",
}
_TEXT: Final[Schema] = {"type": ["string", "null"], "maxLength": 10_000}
_PRIORITY: Final[Schema] = {"type": ["integer", "null"], "minimum": -(2**31), "maximum": 2**31 - 1}
_COUNT: Final[Schema] = {"type": ["integer", "null"], "minimum": 1, "maximum": 2**31 - 1}
_AMOUNT: Final[Schema] = {"type": ["number", "null"], "minimum": 0}


def _object(properties: Schema, required: Sequence[str] = (), *, nullable: bool = True) -> Schema:
    """A closed object: what it does not name is refused."""
    return {
        "type": ["object", "null"] if nullable else "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


_RETRY: Final = _object(
    {
        "max_attempts": {"type": "integer", "minimum": 1, "maximum": MAX_RETRIES + 1},
        "initial_delay": {"type": ["string", "number"]},
        "max_delay": {"type": ["string", "number"]},
        "backoff_factor": {"type": "number", "minimum": 1, "maximum": 100},
        "jitter": {"type": "number", "minimum": 0, "maximum": 1},
    }
)
_COMPENSATE: Final = _object(
    {"type": {"type": "string"}, "config": {"type": ["object", "null"]}, "retry": _RETRY, "timeout": _DURATION},
    ["type"],
)
_NODE: Final[Schema] = {
    **_object(
        {
            "id": {"type": "string", "pattern": ID_PATTERN},
            "name": {"type": ["string", "null"], "maxLength": 200},
            "type": {"type": "string", "maxLength": 100},
            "config": {"type": ["object", "null"]},
            "retry": _RETRY,
            "timeout": _DURATION,
            "priority": _PRIORITY,
            "join": {"enum": ["all", "any", "strict", None]},
            "when": {"type": ["string", "boolean", "null"], "maxLength": 10_000},
            "on_error": {"enum": ["fail", "continue", None]},
            "queue": {"type": ["string", "null"], "pattern": ID_PATTERN},
            "cache": _object({"key": {"type": "string"}, "ttl": {"type": ["string", "number"]}}, ["key", "ttl"]),
            "template_id": {"type": ["string", "null"], "maxLength": 100},
            "template_version": _COUNT,
            "position": _object({"x": {"type": "number"}, "y": {"type": "number"}}, ["x", "y"]),
            "compensate": _COMPENSATE,
        },
        ["id", "type"],
        nullable=False,
    ),
}
ITEM_STEP: Final[Schema] = _object(  # what a map does for an item: a node without a place in the graph
    {
        name: _NODE["properties"][name]
        for name in ("id", "name", "type", "config", "retry", "timeout", "priority", "on_error", "queue", "cache")
    },
    ["type"],
    nullable=False,
)
_EDGE: Final = _object(
    {
        "source": {"type": "string"},
        "target": {"type": "string"},
        "on": {"enum": ["success", "failure", "always", None]},
        "when": {"type": ["string", "boolean", "integer", "null"], "maxLength": 10_000},
    },
    ["source", "target"],
    nullable=False,
)
_CONFIG: Final = _object(
    {
        "max_concurrency": {"type": ["integer", "null"], "minimum": 1, "maximum": 10_000},
        "timeout": _DURATION,
        "retry_policy": _RETRY,
        "priority": _PRIORITY,
        "concurrency": _object(
            {
                "key": _TEXT,
                "limit": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
                "on_conflict": {"enum": ["queue", "reject", "cancel_running"]},
            }
        ),
        "rate_limit": _object({"key": _TEXT, "limit": {"type": "string"}}, ["limit"]),
        "debounce": _object({"key": _TEXT, "delay": {"type": ["string", "number"]}}, ["delay"]),
        "expires_in": _DURATION,
        "expected_duration": _DURATION,
        "on_failure": _object(
            {"workflow_id": {"type": "string"}, "inputs": {"type": ["object", "null"]}}, ["workflow_id"]
        ),
        "budget": _object(
            {
                "cost": _AMOUNT,
                "tokens": _COUNT,
                "steps": _COUNT,
                "http_calls": _COUNT,
                "wall_time": _DURATION,
                "on_breach": {"enum": ["fail", "pause", None]},
            }
        ),
    }
)

DEFINITION_SCHEMA: Final[Schema] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "FlowForge definition",
    **_object(
        {
            "nodes": {"type": "array", "items": _NODE},
            "edges": {"type": "array", "items": _EDGE},
            "config": _CONFIG,
            "input_schema": {"type": ["object", "null"]},
            "output": {},
        },
        nullable=False,
    ),
}

TASKS_SCHEMA: Final[Schema] = {
    "type": "array",
    "items": _object(
        {
            "name": {"type": "string", "minLength": 1, "maxLength": 200},
            "type": {"type": "string", "maxLength": 100},
            "payload": {"type": ["object", "null"]},
            "max_retries": {"type": ["integer", "null"], "minimum": 0, "maximum": MAX_RETRIES},
            "priority": _PRIORITY,
            "dependencies": {"type": ["array", "null"], "items": {"type": "string"}},
        },
        ["name", "type"],
        nullable=False,
    ),
}


def check(schema: Schema, document: Json) -> tuple[list[Fault], Json]:
    """What of `document` is of the wrong shape, and the document without what cannot be read on.

    Members that are unknown or of the wrong type are gone from the second, such items are None; a text too long or a
    number out of range stays, so that what refers to it is not reported too.
    """
    faults = [_named(fault) for fault in compile_schema(schema).faults(document, limit=ALL_FAULTS)]
    unreadable = [fault.pointer for fault in faults if fault.code in UNREADABLE]
    return faults, _without(document, unreadable) if unreadable else document


def _named(fault: Fault) -> Fault:
    if fault.code != "additional_properties":
        return fault
    return Fault(pointer=fault.pointer, code="unknown_field", detail=fault.detail)


def _without(document: Json, unreadable: Sequence[str]) -> Json:
    if "" in unreadable:
        return {} if isinstance(document, Mapping) else []
    left = copy.deepcopy(document)
    for pointer in unreadable:
        *path, last = pointers.tokens(pointer)
        try:
            parent = pointers.resolve(left, pointers.pointer_of(path))
        except KeyError:
            continue  # gone with what it stood in
        if isinstance(parent, list):
            parent[int(last)] = None
        elif isinstance(parent, dict):
            parent.pop(last, None)
    return left
