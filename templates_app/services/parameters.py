"""The parameters of a template: its JSON Schema, and what a node gives for them. Pure."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from flowforge.core import json
from flowforge.core.errors import Fault, FlowForgeError
from flowforge.core.json import Json
from flowforge.core.jsonschema import SchemaError, Validator, apply_defaults, compile_schema
from flowforge.core.jsonschema.references import Schema
from flowforge.steps.lenient import lenient

_CACHED: Final = 128  # schemas kept in each process
# a schema that says anything by one of these says itself which members there may be
_OPENING: Final = (
    *("additionalProperties", "unevaluatedProperties", "patternProperties"),
    *("$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "if", "dependentSchemas"),
)


def closed(schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """The schema by which parameters are checked: an object, without members that it doesn't name."""
    found = {"type": "object", **(schema or {})}
    if not any(keyword in found for keyword in _OPENING):
        found["additionalProperties"] = False
    return found


def declared(schema: Mapping[str, Any] | None) -> frozenset[str] | None:
    """The names that there may be; None where the schema leaves that open."""
    found = closed(schema)
    if found.get("additionalProperties") is not False or any(name in found for name in _OPENING[1:]):
        return None
    return frozenset(found.get("properties") or {})


def schema_faults(schema: Mapping[str, Any] | None) -> list[Fault]:
    """What is wrong with a template's `parameters`, by pointers into it."""
    if schema is not None and schema.get("type", "object") != "object":
        return [Fault(pointer="/type", code="invalid_schema", detail="parameters are an object of named values")]
    try:
        compile_schema(closed(schema))
        _validator(closed(schema))
        apply_defaults(closed(schema), {})
    except SchemaError as error:
        return [Fault(pointer=error.pointer, code=error.code, detail=str(error))]
    except FlowForgeError as error:  # defaults without an end
        return list(error.faults)
    return []


def complete(schema: Mapping[str, Any] | None, given: Mapping[str, Json]) -> tuple[dict[str, Json], list[Fault]]:
    """The parameters with the schema's defaults, and what is wrong with them by pointers into them.

    A text that holds an expression fits everywhere: what it will give is not known yet.
    """
    rules = closed(schema)
    try:
        values: dict[str, Json] = apply_defaults(rules, dict(given))
    except FlowForgeError as error:
        return dict(given), list(error.faults)
    return values, [_named(fault) for fault in _validator(rules).faults(values)]


def _validator(rules: Schema) -> Validator:
    return _compiled(json.canonical(rules))


@lru_cache(maxsize=_CACHED)
def _compiled(key: bytes) -> Validator:
    """Making a schema lenient takes longer than looking it up."""
    return compile_schema(lenient(json.loads_trusted(key)))


def _named(fault: Fault) -> Fault:
    if fault.code not in ("additional_properties", "unevaluated_properties"):
        return fault
    return Fault(pointer=fault.pointer, code="unknown_field", detail="The template has no such parameter.")
