"""A value that fits a JSON schema: the example of an operation for which nobody wrote one."""

from typing import Any, Final

from flowforge.core.json import Json

_BY_FORMAT: Final = {
    "uuid": "01926f3a-7c1e-7b3a-9d52-0c5a1e8f4b21",
    "date-time": "2026-01-01T12:00:00.123456Z",
    "date": "2026-01-01",
    "uri": "https://example.com/",
    "uri-reference": "/v1/workflows",
    "email": "ada@example.com",
}
_BY_TYPE: Final = {"string": "text", "integer": 1, "number": 1.5, "boolean": True, "null": None}
_MAX_DEPTH: Final = 8  # a schema may hold itself


def example_of(schema: dict[str, Any], components: dict[str, Any], depth: int = 0) -> Json:
    """The schema's own example, default, constant or first choice; else made from its type."""
    if "$ref" in schema:
        return example_of(components[schema["$ref"].rpartition("/")[2]], components, depth)
    for key in ("example", "default", "const"):
        if key in schema:
            return schema[key]
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    for key in ("allOf", "oneOf", "anyOf"):
        if schema.get(key):
            return example_of(schema[key][0], components, depth)
    return _of_type(schema, components, depth)


def _of_type(schema: dict[str, Any], components: dict[str, Any], depth: int) -> Json:
    kind = schema.get("type", "object")
    if isinstance(kind, list):
        kind = next(name for name in kind if name != "null" or len(kind) == 1)
    if kind == "array":
        return [] if depth >= _MAX_DEPTH else [example_of(schema.get("items", {}), components, depth + 1)]
    if kind == "object":
        inner = {} if depth >= _MAX_DEPTH else schema.get("properties", {})
        return {name: example_of(field, components, depth + 1) for name, field in inner.items()}
    if kind == "string":
        return _text(schema)
    if kind in ("integer", "number") and "minimum" in schema:
        return schema["minimum"]
    return _BY_TYPE[kind]


def _text(schema: dict[str, Any]) -> str:
    text = str(_BY_FORMAT.get(schema.get("format", ""), _BY_TYPE["string"]))
    return text[: schema["maxLength"]] if "maxLength" in schema else text
