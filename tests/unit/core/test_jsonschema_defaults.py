"""Filling in the defaults of a schema."""

from typing import Any

import pytest

from flowforge.core.errors import InvalidBody
from flowforge.core.jsonschema import apply_defaults


@pytest.mark.parametrize(
    ("schema", "instance", "filled"),
    [
        ({"properties": {"a": {"default": 1}}}, {}, {"a": 1}),
        ({"properties": {"a": {"default": 1}}}, {"a": None}, {"a": None}),
        ({"properties": {"a": {"default": None}}}, {}, {"a": None}),
        ({"properties": {"a": {"properties": {"b": {"default": 1}}}}}, {"a": {}}, {"a": {"b": 1}}),
        ({"properties": {"a": {"properties": {"b": {"default": 1}}}}}, {}, {}),
        ({"properties": {"a": {"default": {}, "properties": {"b": {"default": 1}}}}}, {}, {"a": {"b": 1}}),
        ({"items": {"properties": {"a": {"default": 1}}}}, [{}, {"a": 2}, 3], [{"a": 1}, {"a": 2}, 3]),
        ({"prefixItems": [{"properties": {"a": {"default": 1}}}]}, [{}, {}], [{"a": 1}, {}]),
        ({"additionalProperties": {"properties": {"a": {"default": 1}}}}, {"x": {}}, {"x": {"a": 1}}),
        ({"allOf": [{"properties": {"a": {"default": 1}}}]}, {}, {"a": 1}),
        ({"$ref": "#/$defs/d", "$defs": {"d": {"properties": {"a": {"default": 1}}}}}, {}, {"a": 1}),
        ({"properties": {"a": {"$ref": "#/$defs/d"}}, "$defs": {"d": {"default": 1}}}, {}, {"a": 1}),
        ({"properties": {"a": {"$ref": "#/$defs/d", "default": 2}}, "$defs": {"d": {"default": 1}}}, {}, {"a": 2}),
        ({"anyOf": [{"properties": {"a": {"default": 1}}}]}, {}, {}),
        ({"properties": {"a": True}}, {}, {}),
        (True, {"a": 1}, {"a": 1}),
        ({"properties": {"a": {"default": 1}}}, "text", "text"),
    ],
)
def test_it_works_for_what_is_missing(schema: Any, instance: Any, filled: Any) -> None:
    assert apply_defaults(schema, instance) == filled


def test_neither_the_instance_nor_the_schema_is_touched_by_defaults() -> None:
    schema = {"properties": {"a": {"default": []}, "b": {"properties": {"c": {"default": 1}}}}}
    instance: dict[str, Any] = {"b": {}}
    first = apply_defaults(schema, instance)
    first["a"].append("mine")
    assert instance == {"b": {}}
    assert apply_defaults(schema, instance)["a"] == []


def test_it_rejects_defaults_without_end() -> None:
    many = {"items": {"properties": {f"p{i}": {"default": 0} for i in range(100)}}}
    with pytest.raises(InvalidBody):
        apply_defaults(many, [{} for _ in range(2000)])
    doubling = {"properties": {name: {"$ref": "#", "default": {}} for name in "ab"}}
    with pytest.raises(InvalidBody):
        apply_defaults(doubling, {})
