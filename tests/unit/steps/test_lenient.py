"""A schema that lets expressions pass."""

from typing import Any

import pytest

from flowforge.core.jsonschema import compile_schema
from flowforge.steps.lenient import lenient

X = "{{ inputs.x }}"
SHAPES = {
    "oneOf": [
        {
            "type": "object",
            "required": ["kind", "size"],
            "properties": {"kind": {"const": "a"}, "size": {"type": "integer"}},
        },
        {"type": "object", "required": ["kind"], "properties": {"kind": {"const": "b"}}},
    ]
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "number": {"type": "integer", "minimum": 3},
        "choice": {"enum": ["a", "b"]},
        "when": {"type": "string", "format": "date-time"},
        "list": {"type": "array", "items": {"type": "integer"}, "minItems": 1},
        "map": {"type": "object", "additionalProperties": {"type": "boolean"}},
        "shape": SHAPES,
        "shared": {"$ref": "#/$defs/shared"},
        "any": {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]},
    },
    "$defs": {"shared": {"type": "object", "properties": {"deep": {"type": "null"}}}},
}


def faults(config: dict[str, Any]) -> list[str]:
    return [f"{fault.pointer} {fault.code}" for fault in compile_schema(lenient(SCHEMA)).faults(config)]


@pytest.mark.parametrize(
    "config",
    [
        dict.fromkeys(SCHEMA["properties"], X),
        {"list": [1, X], "map": {"a": X}, "shared": {"deep": X}, "any": [X]},
        {"shape": {"kind": X}},
        {"shape": {"kind": "a", "size": X}},
        {"shape": {"kind": X, "size": 1}},  # both shapes hold
        {"number": f"some text around {X}"},
    ],
)
def test_it_works(config: dict[str, Any]) -> None:
    assert faults(config) == []


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"number": 1}, "/number minimum"),
        ({"number": "x"}, "/number type"),
        ({"choice": "c"}, "/choice enum"),
        ({"when": "never"}, "/when format"),
        ({"list": []}, "/list min_items"),
        ({"list": [X, "a"]}, "/list/1 type"),
        ({"map": {"a": 1}}, "/map/a type"),
        ({"shared": {"deep": 1}}, "/shared/deep type"),
        ({"typo": X}, "/typo additional_properties"),
    ],
)
def test_it_rejects_what_no_expression_excuses(config: dict[str, Any], expected: str) -> None:
    assert faults(config) == [expected]


def test_it_rejects_what_fits_no_alternative() -> None:
    (fault,) = faults({"shape": {"kind": "c"}})
    assert fault.startswith("/shape")


def test_it_leaves_the_schema_itself_alone() -> None:
    before = repr(SCHEMA)
    lenient(SCHEMA)
    assert repr(SCHEMA) == before
