"""What a run is given, checked against what its version asks for."""

import uuid
from functools import lru_cache
from typing import cast

from flowforge.core.errors import InvalidBody
from flowforge.core.json import Json
from flowforge.core.jsonschema import Validator, apply_defaults, compile_schema
from workflows.constants import DEFINITION_CACHE_SIZE
from workflows.selectors import definition_of


def complete_inputs(*, version_id: uuid.UUID, given: dict[str, Json]) -> dict[str, Json]:
    """The inputs with the schema's defaults filled in. Raises InvalidBody (422), each fault under `/inputs`."""
    schema = _schema_of(version_id)
    if schema is None:
        return given
    inputs = cast(dict[str, Json], apply_defaults(schema.schema, given))
    faults = schema.faults(inputs)
    if faults:
        raise InvalidBody(
            detail="The inputs don't fit the workflow's input_schema.",
            faults=[fault.under("/inputs") for fault in faults],
        )
    return inputs


@lru_cache(maxsize=DEFINITION_CACHE_SIZE)
def _schema_of(version_id: uuid.UUID) -> Validator | None:
    schema = definition_of(version_id).input_schema
    return None if schema is None else compile_schema(schema)
