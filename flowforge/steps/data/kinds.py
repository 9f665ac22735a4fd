"""What DuckDB's types are like, and whether rows fit where other rows are. Imported by worker and child alike."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

_NUMBERS: Final = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT",
     "FLOAT", "DOUBLE", "DECIMAL"}
)  # fmt: skip
_TIMES: Final = frozenset(
    {"DATE", "TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"}
)
_NESTED: Final = frozenset({"JSON", "STRUCT", "MAP", "UNION"})
_UNKNOWN: Final = '"NULL"'  # of a column that holds nothing but nulls


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """Why rows do not fit, by the names of columns."""

    missing: list[str]
    unexpected: list[str]
    other_type: list[str]

    @property
    def message(self) -> str:
        said = (("missing", self.missing), ("unexpected", self.unexpected), ("of another type", self.other_type))
        parts = "; ".join(f"{what}: {', '.join(names)}" for what, names in said if names)
        return f"The rows do not fit what they would be appended to; {parts}."

    @property
    def details(self) -> dict[str, list[str]]:
        return {"missing": self.missing, "unexpected": self.unexpected, "other_type": self.other_type}


def family(kind: str) -> str:
    """Number, boolean, time, nested, bytes or text."""
    plain = kind.partition("(")[0]
    if kind.endswith("]") or plain in _NESTED:
        return "nested"
    if plain in _NUMBERS:
        return "number"
    if plain in _TIMES:
        return "time"
    return {"BOOLEAN": "boolean", "BLOB": "bytes"}.get(plain, "text")


def is_nested(kind: str) -> bool:
    """Has it parts that csv and tables cannot show? JSON is a text already."""
    return family(kind) == "nested" and kind != "JSON"


def difference(before: Mapping[str, str], after: Mapping[str, str], *, needed: Iterable[str]) -> Difference | None:
    """Of columns with their types that are there, and of those of rows to be appended; None if these fit.

    `needed` have to be among the latter. A column of text takes everything.
    """
    found = Difference(
        missing=[name for name in needed if name not in after],
        unexpected=[name for name in after if name not in before],
        other_type=[name for name, kind in after.items() if name in before and not _takes(before[name], kind)],
    )
    return found if any(found.details.values()) else None


def _takes(before: str, after: str) -> bool:
    return after == _UNKNOWN or before == _UNKNOWN or family(before) in (family(after), "text")
