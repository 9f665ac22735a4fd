"""What a run is given, checked against what its version asks for."""

import uuid
from collections.abc import Mapping
from typing import Any, cast

from flowforge.core.errors import InvalidBody
from flowforge.core.json import Json
from flowforge.core.jsonschema import CompiledSchema, apply_defaults, compile_schema
from flowforge.kernel.definition import Definition

_MAX_COMPILED = 1000
_compiled: dict[uuid.UUID, CompiledSchema] = {}  # by version: its definition never changes, and hashes slowly


def complete_inputs(*, version_id: uuid.UUID, definition: Definition, given: dict[str, Json]) -> dict[str, Json]:
    """The inputs with the schema's defaults filled in. Raises InvalidBody (422), each fault under `/inputs`."""
    if definition.input_schema is None:
        return given
    inputs = cast(dict[str, Any], apply_defaults(definition.input_schema, given))
    faults = _schema_of(version_id, definition.input_schema).faults(inputs)
    if faults:
        raise InvalidBody(
            detail="The inputs don't fit the workflow's input_schema.",
            faults=[fault.under("/inputs") for fault in faults],
        )
    return inputs


def _schema_of(version_id: uuid.UUID, schema: Mapping[str, Any]) -> CompiledSchema:
    found = _compiled.get(version_id)
    if found is None:
        while len(_compiled) >= _MAX_COMPILED:
            _compiled.pop(next(iter(_compiled)))
        found = _compiled[version_id] = compile_schema(schema)
    return found
