"""Examples that fit their schemas."""

import jsonschema_rs
import pytest

from flowforge.api.examples import example_of

COMPONENTS = {
    "Leaf": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string", "format": "uuid"}}},
    "Tree": {
        "type": "object",
        "properties": {"children": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}},
    },
}
SCHEMAS = [
    {"type": "string"},
    {"type": "string", "maxLength": 2},
    {"type": "string", "enum": ["a", "b"]},
    {"type": ["string", "null"], "format": "date-time"},
    {"type": ["null", "integer"]},
    {"type": "integer", "minimum": 5},
    {"type": "null"},
    {"const": 3},
    {"type": "boolean"},
    {"type": "array", "items": {"type": "number"}},
    {"allOf": [{"$ref": "#/components/schemas/Leaf"}]},
    {"oneOf": [{"type": "string"}, {"type": "null"}]},
    {"type": "object", "additionalProperties": {}},
    {},
    {"$ref": "#/components/schemas/Leaf"},
]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_it_works(schema):
    value = example_of(schema, COMPONENTS)
    assert jsonschema_rs.is_valid({**schema, "components": {"schemas": COMPONENTS}}, value)


def test_it_rejects_to_go_round_for_ever():
    value = example_of({"$ref": "#/components/schemas/Tree"}, COMPONENTS)
    assert value["children"][0]["children"]


def test_an_example_that_somebody_wrote_comes_first():
    assert example_of({"type": "string", "default": "d", "example": "e"}, COMPONENTS) == "e"
