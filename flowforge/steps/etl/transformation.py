"""What a transformation may say, checked as far as it can be before a row is read.

One step or a list of them: `"normalize"`, `{"rename": {"old": "new"}}` … Each becomes `(name, argument)`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from flowforge.core.errors import Fault
from flowforge.core.pointers import escape
from flowforge.steps.values import holds_expression

BARE: Final = ("normalize", "deduplicate", "drop_nulls")  # need no argument
ALL: Final = (*BARE, "select", "rename", "cast", "filter", "sql")
ROW_KEEPING: Final = frozenset({"normalize", "select", "rename", "cast"})  # as many rows come out as go in
SEPARATOR: Final = "_"
MAX_STEPS: Final = 100

# the type as it is written -> DuckDB's
_TYPES: Final = {
    "text": "VARCHAR", "string": "VARCHAR", "varchar": "VARCHAR", "integer": "BIGINT", "int": "BIGINT",
    "bigint": "BIGINT", "float": "DOUBLE", "double": "DOUBLE", "number": "DOUBLE", "boolean": "BOOLEAN",
    "bool": "BOOLEAN", "date": "DATE", "time": "TIME", "timestamp": "TIMESTAMP", "datetime": "TIMESTAMP",
    "timestamptz": "TIMESTAMPTZ", "json": "JSON", "uuid": "UUID",
}  # fmt: skip
_DECIMAL: Final = re.compile(r"decimal\((\d{1,2}),\s?(\d{1,2})\)")

_COLUMN: Final = {"type": "string", "minLength": 1}
_COLUMNS: Final = {"type": "array", "items": _COLUMN, "minItems": 1}
_ARGUMENTS: Final = {
    "normalize": {
        "type": "object",
        "additionalProperties": False,
        "properties": {"separator": {"type": "string", "minLength": 1, "maxLength": 4, "default": SEPARATOR}},
    },
    "deduplicate": _COLUMNS,
    "drop_nulls": _COLUMNS,
    "select": _COLUMNS,
    "rename": {"type": "object", "minProperties": 1, "additionalProperties": _COLUMN},
    "cast": {"type": "object", "minProperties": 1, "additionalProperties": _COLUMN},
    "filter": {"type": "string", "minLength": 1},
    "sql": {"type": "string", "minLength": 1},
}
SCHEMA: Final[Mapping[str, Any]] = {
    "type": ["string", "object", "array"],
    "title": "Transformation",
    "description": "One of normalize, deduplicate, drop_nulls, select, rename, cast, filter, sql, or a list of them.",
    "properties": _ARGUMENTS,
    "additionalProperties": False,
    "maxProperties": 1,
    "minProperties": 1,
    "maxItems": MAX_STEPS,
    "items": {"type": ["string", "object"], "properties": _ARGUMENTS, "minProperties": 1, "maxProperties": 1},
}


def listed(value: Any) -> list[tuple[str, Any]]:
    """(name, argument or None) of each step, in order."""
    return [_pair(item) for item in (value if isinstance(value, list) else [value]) if item is not None]


def faults(value: Any) -> Iterator[Fault]:
    """Of a transformation as it is written; pointers relative to the config."""
    if holds_expression(value):
        return
    many = isinstance(value, list)
    for place, item in enumerate(value if many else [value]):
        yield from _faults_of_one(item, f"/transformation/{place}" if many else "/transformation")


def type_of(written: str) -> str | None:
    """DuckDB's name of a type; None: there is none of this name."""
    lower = written.strip().lower()
    decimal = _DECIMAL.fullmatch(lower)
    if decimal is None:
        return _TYPES.get(lower)
    width, scale = int(decimal[1]), int(decimal[2])
    return f"DECIMAL({width},{scale})" if 1 <= width <= 38 and scale <= width else None


def type_fault(pointer: str, written: Any) -> Iterator[Fault]:
    if isinstance(written, str) and not holds_expression(written) and type_of(written) is None:
        names = ", ".join(sorted(_TYPES))
        yield Fault(pointer=pointer, code="unknown_type", detail=f"{written!r} is none of {names}, decimal(p,s)")


def _pair(item: Any) -> tuple[str, Any]:
    if isinstance(item, Mapping):
        return next(iter(item.items()))
    return str(item), None


def _faults_of_one(item: Any, pointer: str) -> Iterator[Fault]:
    if holds_expression(item) or (isinstance(item, Mapping) and len(item) != 1):
        return  # the schema says so
    name, argument = _pair(item)
    if name not in ALL:
        yield Fault(pointer=pointer, code="unknown_transformation", detail=f"{name!r} is none of {', '.join(ALL)}")
    elif argument is None and name not in BARE:
        yield Fault(pointer=pointer, code="required", detail=f"{name} needs to be told: {{{name}: …}}")
    elif name == "cast" and isinstance(argument, Mapping):
        for column, written in argument.items():
            yield from type_fault(f"{pointer}/cast/{escape(column)}", written)
