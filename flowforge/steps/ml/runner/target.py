"""What is to be predicted: which task it makes, and its values as a model takes them."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from flowforge.steps.ml.algorithms import CLASSIFICATION, REGRESSION, Algorithm
from flowforge.steps.ml.runner.columns import Rows
from flowforge.steps.ml.runner.refusals import InvalidData, Refused
from flowforge.steps.ml.runner.table import Numbers, Objects, Table

Label = str | bool | int | float

MIN_ROWS: Final = 10
MAX_CLASSES: Final = 100
MAX_INFERRED_CLASSES: Final = 20  # of whole numbers; more are quantities, unless `task` says otherwise


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """The column to predict. `values` has one for each row of the dataset; those of other rows mean nothing."""

    name: str
    task: str
    rows: Rows  # that have a target
    values: NDArray[Any]  # places in `classes` (integers), or numbers
    classes: tuple[Label, ...] = ()


def target_of(table: Table, name: str, task: str | None, algorithm: Algorithm) -> Target:
    """Raises InvalidData on a target of which nothing can be learned, Refused where algorithm and task do not fit."""
    if name not in table.columns:
        raise InvalidData(f"the dataset has no column {name!r}, which is the target", column=name)
    kind = table.columns[name].kind
    if kind in ("date", "other"):
        raise InvalidData(f"the target {name!r} is a {table.columns[name].sql.lower()}: nothing predicts that here")
    values = table.texts(name) if kind == "text" else table.numbers(name)
    present = np.flatnonzero(_present(values))
    if not present.size:
        raise InvalidData(f"the target {name!r} has no value in any row", column=name)
    task = task or _inferred(table, name, values[present], algorithm)
    if task not in algorithm.tasks:
        raise Refused("algorithm_mismatch", f"{algorithm.name} does no {task}, which the target {name!r} asks for")
    if task == REGRESSION and kind == "text":
        raise InvalidData(f"the target {name!r} is text: a regression needs numbers", column=name)
    if present.size < MIN_ROWS:
        raise InvalidData(f"only {present.size} rows have a target; {MIN_ROWS} are the least to learn from")
    if task == REGRESSION:
        return _of_regression(name, values, present)
    return _of_classification(table, name, values, present)


def _present(values: Numbers | Objects) -> NDArray[np.bool_]:
    if values.dtype == np.float64:
        return ~np.isnan(values)
    return np.fromiter((value is not None for value in values), dtype=bool, count=len(values))


def _inferred(table: Table, name: str, values: NDArray[Any], algorithm: Algorithm) -> str:
    """Texts and booleans are classes; so are a few different whole numbers; all other numbers are quantities."""
    if table.columns[name].kind in ("text", "boolean"):
        return CLASSIFICATION
    if len(algorithm.tasks) == 1:
        return algorithm.tasks[0]
    is_few = table.columns[name].is_integer and len(np.unique(values)) <= MAX_INFERRED_CLASSES
    return CLASSIFICATION if is_few else REGRESSION


def _of_regression(name: str, values: NDArray[Any], rows: Rows) -> Target:
    if np.ptp(values[rows]) == 0:
        raise InvalidData(f"the target {name!r} has the same value in every row", column=name)
    return Target(name=name, task=REGRESSION, rows=rows, values=values)


def _of_classification(table: Table, name: str, values: NDArray[Any], rows: Rows) -> Target:
    found, places, counts = np.unique(values[rows], return_inverse=True, return_counts=True)
    if len(found) == 1:
        raise InvalidData(f"the target {name!r} has a single class: there is nothing to tell apart", column=name)
    if len(found) > MAX_CLASSES:
        detail = f"{len(found)} different values, more than {MAX_CLASSES} classes"
        raise InvalidData(f"the target {name!r} has {detail}: is it a quantity, or an identifier?", column=name)
    rare = int(np.argmin(counts))
    if counts[rare] < 2:
        label = _label(table, name, found[rare])
        raise InvalidData(f"the class {label!r} of the target has one row: two are the least", column=name)
    codes = np.zeros(len(values), dtype=np.intp)
    codes[rows] = places
    classes = tuple(_label(table, name, value) for value in found)
    return Target(name=name, task=CLASSIFICATION, rows=rows, values=codes, classes=classes)


def _label(table: Table, name: str, value: Any) -> Label:
    """A class as JSON shows it: `true`, `3`, `2.5`, `"setosa"`."""
    if table.columns[name].kind == "text":
        return str(value)
    if table.columns[name].kind == "boolean":
        return bool(value)
    number = float(value)
    return int(number) if number.is_integer() else number
