"""Ask a model: read it and a dataset, predict every row, give the first ones back and write all of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowforge.steps.ml.runner import card, columns, model_file
from flowforge.steps.ml.runner.columns import Column
from flowforge.steps.ml.runner.model_file import Opened
from flowforge.steps.ml.runner.refusals import InvalidData, InvalidModel, named
from flowforge.steps.ml.runner.saying import say, warn
from flowforge.steps.ml.runner.table import Kind, Table
from flowforge.steps.ml.runner.target import Label

PREDICTION = "prediction"
PROBABILITY = "probability"  # of the class that is predicted

_FITTING: Mapping[Kind, tuple[Kind, ...]] = {  # what a column may be, by what it was
    "number": ("number", "boolean"),
    "boolean": ("boolean", "number"),
    "date": ("date",),
    "text": ("text", "number", "boolean", "date"),
}


def predict(request: Mapping[str, Any]) -> dict[str, Any]:
    """The step's output. Writes all predictions to `target_path`, if there is one. Raises Refused."""
    path = Path(request["model"])
    digest = model_file.digest_of(path)
    if request["sha256"] not in (None, digest):
        raise InvalidModel(f"the model is not the one that is asked for: its SHA-256 is {digest}")
    opened = model_file.read(path, path.parent)
    _tell_versions(opened)
    table = Table(Path(request["dataset"]), request["format"])
    say(f"predicting {table.rows} rows by {opened.card['algorithm']} of {opened.card['model_name']}")
    predictions, probabilities = _answers(table, opened)
    if request["target_path"] is not None:
        _write(request, table, predictions, probabilities)
    limit = request["limit"]
    return {
        "model_name": opened.card["model_name"],
        "algorithm": opened.card["algorithm"],
        "task": opened.shape.task,
        "sha256": digest,
        "features": [column.name for column in opened.columns],
        "rows": table.rows,
        "predictions": predictions[:limit],
        "probabilities": None if probabilities is None else probabilities[:limit].tolist(),
        "is_truncated": table.rows > limit,
    }


def _answers(table: Table, opened: Opened) -> tuple[list[Label], NDArray[Any] | None]:
    _check_columns(table, opened.columns)
    matrix, unknown = columns.encoded(table, opened.columns, np.arange(table.rows))
    if unknown:
        warn(f"values that the model has not learned: {named([f'{name} ({n})' for name, n in unknown.items()])}")
    if not opened.shape.classes:
        return opened.model.predict(matrix).tolist(), None
    classes = opened.card["target"]["classes"]
    found = opened.model.probabilities(matrix)
    if found.shape != (table.rows, len(classes)):
        raise InvalidModel(f"the model tells {found.shape[-1]} classes apart, its card names {len(classes)}")
    return [classes[place] for place in found.argmax(axis=1)], found.max(axis=1).astype(np.float64)


def _check_columns(table: Table, known: list[Column]) -> None:
    missing = [column.name for column in known if column.name not in table.columns]
    if missing:
        raise InvalidData(f"the dataset lacks columns that the model needs: {named(missing)}", columns=missing)
    for column in known:
        found = table.columns[column.name]
        if found.kind not in _FITTING[column.kind] and not table.is_void(column.name):
            message = f"the column {column.name!r} was a {column.kind} when the model learned it, and is {found.sql}"
            raise InvalidData(f"{message} now", column=column.name)


def _write(request: Mapping[str, Any], table: Table, predictions: list[Label], probabilities: Any) -> None:
    taken = [name for name in (PREDICTION, PROBABILITY) if name in table.columns]
    if taken:
        raise InvalidData(f"the dataset has a column {named(taken)} already: where are the predictions to go?")
    kind = object if isinstance(predictions[0], str) else None
    added: dict[str, NDArray[Any]] = {PREDICTION: np.array(predictions, dtype=kind)}
    if probabilities is not None:
        added[PROBABILITY] = probabilities
    table.write(Path(request["target_path"]), request["target_format"], added)


def _tell_versions(opened: Opened) -> None:
    """A model is read by later libraries as far as they still know how; who sees a difference knows why."""
    here = card.libraries()
    library = "xgboost" if opened.card["algorithm"] == "xgboost" else "scikit-learn"
    then = opened.card.get("libraries", {}).get(library)
    if then != here[library]:
        warn(f"the model was made with {library} {then}; this is {here[library]}")
