"""Real data sets as the files that steps read: those that scikit-learn ships, and tables that a test writes down."""

import csv
import io
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from sklearn import datasets

_LOADERS = {
    "iris": datasets.load_iris,
    "diabetes": datasets.load_diabetes,
    "breast_cancer": datasets.load_breast_cancer,
}


@cache
def shipped(name: str) -> str:
    """`iris`, `breast_cancer` (classes by name) or `diabetes` (numbers) as csv; the last column is `target`."""
    found = _LOADERS[name]()
    names = list(getattr(found, "target_names", ()))
    targets = [names[value] if names else value for value in found.target]
    return as_csv(
        [*found.feature_names, "target"], [[*row, value] for row, value in zip(found.data, targets, strict=True)]
    )


def as_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """None is an empty field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
