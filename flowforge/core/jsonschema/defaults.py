"""Filling in the defaults that a schema gives for what an instance leaves out."""

import copy
from collections.abc import Mapping
from typing import Any, Final

from flowforge.core.errors import Fault, InvalidBody
from flowforge.core.json import Json
from flowforge.core.jsonschema.references import Resolver, Schema

MAX_INSERTED: Final = 100_000
_MAX_DEPTH: Final = 200  # schemas applied on the way to a value; each takes two frames of Python's stack


def apply_defaults(schema: Schema, instance: Json) -> Json:
    """A copy of `instance` with the `default` of each missing property, in nested objects and array items too.

    Follows `properties`, `additionalProperties`, `items`, `prefixItems`, `allOf` and local `$ref`; not `anyOf`, `oneOf`
    and `if`, where it depends on the instance which part holds. Defaults are filled in themselves. Raises SchemaError
    on references that cannot be followed, InvalidBody where the result would be too large.
    """
    filled = copy.deepcopy(instance)
    _Filler(schema).fill(schema, filled, 0)
    return filled


class _Filler:
    def __init__(self, root: Schema) -> None:
        self._resolver = Resolver(root)
        self._inserted = 0

    def fill(self, schema: Schema, instance: Json, depth: int) -> None:
        """Fill `instance` in place. `depth` counts schemas applied on the way, so that circles end."""
        if isinstance(schema, bool) or not isinstance(instance, (dict, list)):
            return
        if depth > _MAX_DEPTH:
            raise _too_much()
        target = self._resolver.target(schema)
        if target is not None:
            self.fill(target, instance, depth + 1)
        for part in _list(schema.get("allOf")):
            self.fill(part, instance, depth + 1)
        if isinstance(instance, dict):
            self._fill_object(schema, instance, depth)
        else:
            self._fill_array(schema, instance, depth)

    def _fill_object(self, schema: Mapping[str, Any], instance: dict[str, Json], depth: int) -> None:
        properties = _map(schema.get("properties"))
        for name, part in properties.items():
            if name not in instance and isinstance(part, Mapping):
                self._insert(part, name, instance)
            if name in instance:
                self.fill(part, instance[name], depth + 1)
        others = schema.get("additionalProperties")
        if isinstance(others, Mapping) and not schema.get("patternProperties"):
            for name, value in instance.items():
                if name not in properties:
                    self.fill(others, value, depth + 1)

    def _insert(self, part: Mapping[str, Any], name: str, instance: dict[str, Json]) -> None:
        while "default" not in part:
            target = self._resolver.target(part)
            if not isinstance(target, Mapping) or target is part:
                return
            part = target
        self._inserted += 1
        if self._inserted > MAX_INSERTED:
            raise _too_much()
        instance[name] = copy.deepcopy(part["default"])

    def _fill_array(self, schema: Mapping[str, Any], instance: list[Json], depth: int) -> None:
        first = _list(schema.get("prefixItems"))
        for part, item in zip(first, instance, strict=False):
            self.fill(part, item, depth + 1)
        rest = schema.get("items")
        if isinstance(rest, Mapping):
            for item in instance[len(first) :]:
                self.fill(rest, item, depth + 1)


def _too_much() -> InvalidBody:
    detail = "there is no end to its default values"
    return InvalidBody(detail=detail, faults=[Fault(pointer="", code="too_complex", detail=detail)])


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
