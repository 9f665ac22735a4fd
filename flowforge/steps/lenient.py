"""A step type's config schema as it applies to a config that still holds expressions.

What an expression will give is not known when a workflow is saved, so a string with `{{` satisfies every subschema.
That is said in JSON Schema itself (`if`/`else`, 2020-12 core 10.2.2), not by dropping faults afterwards: inside
`oneOf` and its like a fault no longer points to the string that caused it.
"""

from collections.abc import Mapping
from typing import Any, Final

_EXPRESSION: Final = {"type": "string", "pattern": r"\{\{"}
_LISTS: Final = ("allOf", "anyOf", "prefixItems")
_MAPS: Final = ("properties", "patternProperties", "$defs", "dependentSchemas")
_SINGLE: Final = (
    "items",
    "additionalProperties",
    "contains",
    "then",
    "else",
    "unevaluatedItems",
    "unevaluatedProperties",
)


def lenient(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with each subschema opened to expressions; the root itself stays, a config is an object.

    `oneOf` becomes `anyOf`: with an expression for its distinguishing member several alternatives may hold. `not`,
    `if` and `propertyNames` stay as they are. A `$ref` may name what stands under `$defs`.
    """
    found = {key: _keyword(key, value) for key, value in schema.items() if key != "oneOf"}
    if "oneOf" in schema:
        alternatives = {"anyOf": [_open(part) for part in schema["oneOf"]]}
        found["allOf"] = [*found.get("allOf", []), alternatives]
    return found


def _keyword(key: str, value: Any) -> Any:
    if key in _LISTS:
        return [_open(part) for part in value]
    if key in _MAPS:
        return {name: _open(part) for name, part in value.items()}
    return _open(value) if key in _SINGLE else value


def _open(schema: Any) -> Any:
    if not isinstance(schema, Mapping) or not schema:
        return schema  # true, false, {}: `additionalProperties: false` refuses the member, whatever it holds
    return {"if": _EXPRESSION, "else": lenient(schema)}
