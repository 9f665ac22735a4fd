"""A reply as JSON: read as what anybody may have sent, and checked against the schema."""

from collections.abc import Sequence
from typing import Any, Final

from flowforge.core import json
from flowforge.core.errors import Fault
from flowforge.core.json import Json, JsonError
from flowforge.core.jsonschema import compile_schema

MAX_TOLD: Final = 20  # faults

_FENCE: Final = "```"


def read(text: str, schema: dict[str, Any] | bool) -> tuple[Json, list[Fault]]:
    """The value and what is wrong with it; a fence of Markdown around it is none of it."""
    try:
        value = json.loads(_bare(text).encode("utf-8", "replace"))
    except JsonError as error:
        return None, [Fault(pointer="", code="not_json", detail=str(error)[:300])]
    return value, compile_schema(schema).faults(value, limit=MAX_TOLD)


def instruction(schema: Json) -> str:
    """What the model is told beside its prompt: not every provider hands a schema on."""
    return f"Answer with JSON alone, valid against this JSON Schema:\n{json.text(schema)}"


def repair(faults: Sequence[Fault]) -> str:
    """What it is told once of an answer that does not fit."""
    lines = [f"- {fault.pointer or '(whole)'}: {fault.code}: {fault.detail}" for fault in faults]
    return "\n".join(["That answer is not valid:", *lines, "Answer again, with the corrected JSON alone."])


def _bare(text: str) -> str:
    stripped = text.strip()
    if not (stripped.startswith(_FENCE) and stripped.endswith(_FENCE) and "\n" in stripped):
        return stripped
    return stripped.partition("\n")[2].removesuffix(_FENCE)
