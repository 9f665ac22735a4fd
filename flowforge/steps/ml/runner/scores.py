"""How good a model is: the measures of its task on rows that it has not seen, and those of knowing nothing.

Definitions are scikit-learn's (its user guide, 3.4): precision, recall and f1 are unweighted means over the classes,
roc_auc is that of the second of two classes or the mean of one against the rest. None where a measure is not defined.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from flowforge.steps.ml.runner.target import Label

Values = NDArray[Any]
Scores = dict[str, Any]


def of_classification(truth: Values, probabilities: Values) -> Scores:
    """accuracy, precision, recall, f1, roc_auc, log_loss; `truth` holds places of classes."""
    count = probabilities.shape[1]
    guessed = probabilities.argmax(axis=1)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        truth, guessed, labels=range(count), average="macro", zero_division=0
    )
    return _finite(
        {
            "accuracy": metrics.accuracy_score(truth, guessed),
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "roc_auc": _roc_auc(truth, probabilities),
            "log_loss": metrics.log_loss(truth, _summing_to_one(probabilities), labels=range(count)),
        }
    )


def of_regression(truth: Values, predicted: Values) -> Scores:
    """rmse, mae (in the units of the target) and r2."""
    return _finite(
        {
            "rmse": metrics.root_mean_squared_error(truth, predicted),
            "mae": metrics.mean_absolute_error(truth, predicted),
            "r2": metrics.r2_score(truth, predicted),
        }
    )


def confusion(truth: Values, probabilities: Values, classes: Sequence[Label]) -> Scores:
    """`matrix[i][j]`: how many rows of class i were taken for class j."""
    places = range(len(classes))
    matrix = metrics.confusion_matrix(truth, probabilities.argmax(axis=1), labels=places)
    return {"labels": list(classes), "matrix": matrix.tolist()}


def guessed_classes(trained_on: Values, rows: int, classes: int) -> Values:
    """Probabilities for who only knows how frequent each class is: always the most frequent."""
    shares = np.bincount(trained_on, minlength=classes) / len(trained_on)
    return np.tile(shares, (rows, 1))


def guessed_numbers(trained_on: Values, rows: int) -> Values:
    """Predictions of who only knows the mean."""
    return np.full(rows, trained_on.mean())


def summary(folds: Sequence[Scores]) -> Scores:
    """Mean and standard deviation of each measure over the folds; None where a fold had none."""
    found: Scores = {"folds": len(folds)}
    for name in folds[0]:
        values = [fold[name] for fold in folds]
        known = all(value is not None for value in values)
        found[name] = {"mean": float(np.mean(values)), "std": float(np.std(values))} if known else None
    return found


def _roc_auc(truth: Values, probabilities: Values) -> float | None:
    count = probabilities.shape[1]
    if len(np.unique(truth)) < count:
        return None  # a class that does not occur cannot be ranked
    if count == 2:
        return float(metrics.roc_auc_score(truth, probabilities[:, 1]))
    found = metrics.roc_auc_score(truth, _summing_to_one(probabilities), multi_class="ovr", labels=range(count))
    return float(found)


def _summing_to_one(probabilities: Values) -> Values:
    """Exactly enough for who checks it: XGBoost's are in single precision."""
    exact = probabilities.astype(np.float64)
    found: Values = exact / exact.sum(axis=1, keepdims=True)
    return found


def _finite(scores: Scores) -> Scores:
    return {
        name: float(value) if value is not None and math.isfinite(value) else None for name, value in scores.items()
    }
