"""From columns of a dataset to columns of a matrix, as it was learned from the rows that a model is trained on.

A number, boolean or date is one column: missing values are filled (the median; of booleans the more frequent), and
scaled for algorithms that compare columns. A text is one column for each of its most frequent values (one-hot), one
for all others if there are any, and one for "missing" if that occurs. All of it is plain data: preprocessing.json.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from flowforge.steps.ml.runner.refusals import InvalidData, InvalidModel
from flowforge.steps.ml.runner.table import Kind, Objects, Table

Matrix = NDArray[np.float64]
Rows = NDArray[np.intp]

MAX_CELLS: Final = 100_000_000  # of a matrix: 800 MB
_KINDS: Final = ("number", "boolean", "date", "text")


class Useless(Exception):
    """Nothing can be learned from a column; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """How one column of a dataset becomes some of a matrix."""

    name: str
    kind: Kind
    fill: float = 0.0  # for a missing number
    mean: float = 0.0
    scale: float = 1.0
    categories: tuple[str, ...] = ()
    has_other: bool = False
    has_missing: bool = False

    @property
    def width(self) -> int:
        """How many columns of the matrix it becomes."""
        return 1 if self.kind != "text" else len(self.categories) + self.has_other + self.has_missing

    def encode(self, table: Table, rows: Rows, out: Matrix) -> int:
        """Write its part of the matrix into `out`; how many values were not known when it was learned."""
        if self.kind != "text":
            found = table.numbers(self.name)[rows]
            out[:, 0] = (np.where(np.isnan(found), self.fill, found) - self.mean) / self.scale
            return 0
        codes = self._codes(table.texts(self.name)[rows])
        known = codes >= 0
        out[np.flatnonzero(known), codes[known]] = 1.0
        others = codes == len(self.categories) if self.has_other else ~known
        return int(np.count_nonzero(others))

    def _codes(self, values: Objects) -> Rows:
        """The column of each value; -1 for none."""
        places: dict[str | None, int] = {value: place for place, value in enumerate(self.categories)}
        other = len(self.categories) if self.has_other else -1
        places[None] = len(self.categories) + self.has_other if self.has_missing else other
        return np.fromiter((places.get(value, other) for value in values), dtype=np.intp, count=len(values))


def learned(table: Table, name: str, rows: Rows, *, is_scaled: bool, max_categories: int) -> Column:
    """What a column of these rows becomes. Raises Useless, and InvalidData as `Table.numbers` does."""
    kind = table.columns[name].kind
    if kind == "other":
        raise Useless(f"is a {table.columns[name].sql.lower()}, not a number, boolean, date or text")
    if kind == "text":
        return _learned_text(name, table.texts(name)[rows], max_categories)
    values = table.numbers(name)[rows]
    present = values[~np.isnan(values)]
    if not present.size:
        raise Useless("has no value")
    if present.size == values.size and np.ptp(present) == 0:
        raise Useless("has the same value everywhere")
    fill = float(present.mean() >= 0.5) if kind == "boolean" else float(np.median(present))
    if not is_scaled:
        return Column(name=name, kind=kind, fill=fill)
    filled = np.where(np.isnan(values), fill, values)
    return Column(name=name, kind=kind, fill=fill, mean=float(filled.mean()), scale=float(filled.std()) or 1.0)


def _learned_text(name: str, values: Objects, max_categories: int) -> Column:
    counts = Counter(values.tolist())
    missing = counts.pop(None, 0)
    if not counts:
        raise Useless("has no value")
    if len(counts) == 1 and not missing:
        raise Useless("has the same value everywhere")
    if len(counts) > max_categories and len(counts) == counts.total():
        raise Useless("is a text that is another in every row")
    by_frequency = sorted(counts, key=lambda value: (-counts[value], value))
    return Column(
        name=name,
        kind="text",
        categories=tuple(sorted(by_frequency[:max_categories])),
        has_other=len(counts) > max_categories,
        has_missing=missing > 0,
    )


def encoded(table: Table, columns: Sequence[Column], rows: Rows) -> tuple[Matrix, Mapping[str, int]]:
    """The matrix of some rows, and how many values of each column are unknown. Raises InvalidData: too large."""
    width = sum(column.width for column in columns)
    if width * len(rows) > MAX_CELLS:
        raise InvalidData(f"{len(rows)} rows of {width} encoded columns are too many: name fewer features")
    matrix = np.zeros((len(rows), width), dtype=np.float64)
    unknown: dict[str, int] = {}
    start = 0
    for column in columns:
        found = column.encode(table, rows, matrix[:, start : start + column.width])
        unknown |= {column.name: found} if found else {}
        start += column.width
    return matrix, unknown


def stored(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """As preprocessing.json keeps them."""
    return [dataclasses.asdict(column) for column in columns]


def restored(found: Any) -> list[Column]:
    """Raises InvalidModel on what `stored` did not make."""
    try:
        columns = [Column(**{**one, "categories": tuple(one["categories"])}) for one in found]
        for column in columns:
            _check(column)
    except (TypeError, KeyError, ValueError) as error:
        raise InvalidModel(f"the model's preprocessing is none: {error}") from None
    return columns


def _check(column: Column) -> None:
    numbers = (column.fill, column.mean, column.scale)
    if column.kind not in _KINDS or not isinstance(column.name, str):
        raise ValueError("a column of no kind")
    if not all(isinstance(one, float | int) and math.isfinite(one) for one in numbers) or not column.scale:
        raise ValueError("a column without its numbers")
    if not all(isinstance(one, str) for one in column.categories):
        raise ValueError("a category that is no text")
    if not isinstance(column.has_other, bool) or not isinstance(column.has_missing, bool):
        raise ValueError("a column that is neither open nor closed")
