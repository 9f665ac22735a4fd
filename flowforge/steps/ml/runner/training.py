"""Train a model: read the dataset, split it, fit, measure, write the model with its card."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from flowforge.core.jsonschema import compile_schema
from flowforge.steps.ml.algorithms import ALGORITHMS
from flowforge.steps.ml.runner import card, columns, model_file, scores
from flowforge.steps.ml.runner.columns import Rows
from flowforge.steps.ml.runner.learning import Lesson, Trained, Wish, shown
from flowforge.steps.ml.runner.refusals import Refused
from flowforge.steps.ml.runner.saying import say
from flowforge.steps.ml.runner.scores import Scores
from flowforge.steps.ml.runner.table import Table
from flowforge.steps.ml.runner.target import Target, target_of


def train(request: Mapping[str, Any]) -> dict[str, Any]:
    """The step's output. Writes the model to `model_path` and its readable card to `card_path`. Raises Refused."""
    config = request["config"]
    wish = _wish(config)
    table = Table(Path(request["dataset"]), request["format"])
    say(f"read {table.rows} rows of {len(table.columns)} columns")
    target = target_of(table, config["target"], config.get("task"), wish.algorithm)
    _check_hyperparameters(wish, target.task)
    if len(target.rows) < table.rows:
        say(f"left out {table.rows - len(target.rows)} rows without a target")
    lesson = Lesson(table, target, wish)
    learning, testing = lesson.split(target.rows, wish.test_size)
    folds = lesson.cross_validated(learning) if wish.folds else None
    say(f"training {wish.algorithm.name} ({target.task}) on {len(learning)} rows, testing on {len(testing)}")
    trained = lesson.learn(learning)
    metrics = _metrics(lesson, table, target, trained, testing, folds)
    output = _output(config, target, trained, metrics, (learning, testing))
    _write(request, wish, table, target, trained, output)
    return {**output, "sha256": model_file.digest_of(Path(request["model_path"]))}


def _wish(config: Mapping[str, Any]) -> Wish:
    return Wish(
        algorithm=ALGORITHMS[config["algorithm"]],
        hyperparameters=config["hyperparameters"],
        features=config.get("features", ()),
        exclude=config.get("exclude", ()),
        seed=config["seed"],
        test_size=config["test_size"],
        folds=config.get("cross_validation", 0),
        max_categories=config["max_categories"],
    )


def _check_hyperparameters(wish: Wish, task: str) -> None:
    """Once more, now that the task is known: a forest that classifies splits by other criteria."""
    faults = compile_schema(wish.algorithm.schema(task)).faults(dict(wish.hyperparameters))
    if faults:
        name = faults[0].pointer.removeprefix("/")
        message = f"hyperparameters.{name} of {wish.algorithm.name} ({task}): {faults[0].detail}"
        raise Refused("invalid_hyperparameters", message)


def _metrics(
    lesson: Lesson, table: Table, target: Target, trained: Trained, testing: Rows, folds: Scores | None
) -> Scores:
    found = lesson.scores(trained, testing)
    baseline = lesson.baseline(trained.rows, testing)
    say(f"measured: {shown(found)}")
    say(f"baseline: {shown(baseline)}")
    metrics = {**found, "baseline": baseline}
    if target.classes:
        answers = trained.answers(table, target, testing)
        metrics["confusion_matrix"] = scores.confusion(target.values[testing], answers, target.classes)
    return metrics if folds is None else {**metrics, "cross_validation": folds}


def _output(
    config: Mapping[str, Any], target: Target, trained: Trained, metrics: Scores, split: tuple[Rows, Rows]
) -> dict[str, Any]:
    return {
        "model_name": config["model_name"],
        "algorithm": config["algorithm"],
        "task": target.task,
        "metrics": metrics,
        "features": [column.name for column in trained.columns],
        "importances": _importances(trained),
        "left_out": [asdict(one) for one in trained.left_out],
        "rows": len(target.rows),
        "rows_train": len(split[0]),
        "rows_test": len(split[1]),
    }


def _importances(trained: Trained) -> list[dict[str, Any]] | None:
    """Of each feature, the largest first; of all of them together 1. None where the algorithm knows none."""
    found = trained.model.importances()
    if found is None:
        return None
    starts = np.cumsum([0, *(column.width for column in trained.columns)])[:-1]
    sums = np.add.reduceat(found, starts)
    shares = sums / (sums.sum() or 1.0)
    named = [(column.name, float(share)) for column, share in zip(trained.columns, shares, strict=True)]
    return [{"feature": name, "importance": share} for name, share in sorted(named, key=lambda one: (-one[1], one[0]))]


def _write(
    request: Mapping[str, Any],
    wish: Wish,
    table: Table,
    target: Target,
    trained: Trained,
    output: Mapping[str, Any],
) -> None:
    path, dataset = Path(request["model_path"]), Path(request["dataset"])
    preprocessing = json.dumps(columns.stored(trained.columns), allow_nan=False, ensure_ascii=False).encode()
    written = {
        "format": model_file.FORMAT,
        **{name: value for name, value in output.items() if not name.startswith("rows")},
        **request["identity"],
        "hyperparameters": dict(wish.hyperparameters),
        "seed": wish.seed,
        "test_size": wish.test_size,
        "target": {"name": target.name, "classes": list(target.classes) or None},
        "rows": {
            "total": table.rows,
            "with_target": len(target.rows),
            "train": output["rows_train"],
            "watched": output["rows_train"] - len(trained.rows),
            "test": output["rows_test"],
        },
        "data": {
            "location": request["location"],
            "format": request["format"],
            "bytes": dataset.stat().st_size,
            "sha256": model_file.digest_of(dataset),
        },
        "libraries": card.libraries(),
        "files": model_file.members(model=trained.model, preprocessing=preprocessing, folder=path.parent),
    }
    readable = card.readable(written)
    Path(request["card_path"]).write_text(readable, encoding="utf-8")
    model_file.write(path, model=trained.model, preprocessing=preprocessing, card=written, readable=readable)
    say(f"model of {path.stat().st_size} bytes")
