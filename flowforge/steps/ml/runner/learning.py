"""Learn from some rows of a table: choose its columns, set rows aside, fit, and see how well that does."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

from flowforge.steps.ml.algorithms import Algorithm
from flowforge.steps.ml.runner import columns, models, scores
from flowforge.steps.ml.runner.columns import Column, Rows, Useless
from flowforge.steps.ml.runner.models import Model, Shape, Watched
from flowforge.steps.ml.runner.refusals import InvalidData, named
from flowforge.steps.ml.runner.saying import say, warn
from flowforge.steps.ml.runner.scores import Scores, Values
from flowforge.steps.ml.runner.table import Table
from flowforge.steps.ml.runner.target import Target

_WATCHED_SHARE: Final = 0.1  # of the rows of a training that stops early: they say when
_LEAST_ROWS: Final = 2  # of either part of a split


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What the step's config asks for."""

    algorithm: Algorithm
    hyperparameters: Mapping[str, Any]
    features: Sequence[str]  # empty: all that can be used
    exclude: Sequence[str]
    seed: int
    test_size: float
    folds: int  # 0: no cross-validation
    max_categories: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """A column that is no feature of the model."""

    column: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """A model with all that it needs to be asked."""

    model: Model
    columns: Sequence[Column]
    left_out: Sequence[LeftOut]
    rows: Rows  # that it has learned from

    def answers(self, table: Table, target: Target, rows: Rows) -> Values:
        """Probabilities (rows, classes) of a classification, numbers of a regression."""
        matrix, _ = columns.encoded(table, self.columns, rows)
        return self.model.probabilities(matrix) if target.classes else self.model.predict(matrix)


class Lesson:
    """A table, the target in it, and what is asked for."""

    def __init__(self, table: Table, target: Target, wish: Wish) -> None:
        """Raises InvalidData where the columns that are asked for are not there."""
        self._table = table
        self._target = target
        self._wish = wish
        self._names = _chosen(table, target, wish)

    def split(self, rows: Rows, share: float) -> tuple[Rows, Rows]:
        """(to learn from, to set aside), in the order of the table; of each class its share. Raises InvalidData."""
        aside = math.ceil(len(rows) * share)
        least = max(_LEAST_ROWS, len(self._target.classes))
        if min(aside, len(rows) - aside) < least:
            parts = f"{len(rows) - aside} to learn from and {aside} to set aside"
            raise InvalidData(f"too few rows: {len(rows)} make {parts}, and {least} of each are the least")
        classes = self._target.values[rows] if self._target.classes else None
        first, second = train_test_split(rows, test_size=aside, random_state=self._wish.seed, stratify=classes)
        return np.sort(first), np.sort(second)

    def learn(self, rows: Rows, *, is_rehearsal: bool = False) -> Trained:
        """Fit, with the preprocessing that these rows alone teach. A rehearsal says nothing of how it goes."""
        watched_rows = None
        if "early_stopping_rounds" in self._wish.hyperparameters:
            rows, watched_rows = self.split(rows, _WATCHED_SHARE)
        known, left_out = self._columns(rows, is_rehearsal=is_rehearsal)
        matrix, _ = columns.encoded(self._table, known, rows)
        values, watched = self._target.values, None
        if watched_rows is not None:
            aside, _ = columns.encoded(self._table, known, watched_rows)
            watched = Watched(matrix=aside, values=values[watched_rows])
        model = models.fitted(
            self._shape(matrix.shape[1]),
            self._wish.hyperparameters,
            self._wish.seed,
            matrix,
            values[rows],
            watched=watched,
            say=None if is_rehearsal else say,
        )
        return Trained(model=model, columns=known, left_out=left_out, rows=rows)

    def scores(self, trained: Trained, rows: Rows) -> Scores:
        """Of the model, on rows that it has not seen."""
        answers = trained.answers(self._table, self._target, rows)
        truth = self._target.values[rows]
        if not self._target.classes:
            return scores.of_regression(truth, answers)
        return scores.of_classification(truth, answers)

    def baseline(self, known: Rows, rows: Rows) -> Scores:
        """The same measures for who knows the target of the rows `known` and nothing else."""
        truth, seen, classes = self._target.values[rows], self._target.values[known], len(self._target.classes)
        if not classes:
            return scores.of_regression(truth, scores.guessed_numbers(seen, len(rows)))
        return scores.of_classification(truth, scores.guessed_classes(seen, len(rows), classes))

    def cross_validated(self, rows: Rows) -> Scores:
        """Mean and deviation over folds, each with its own preprocessing. Raises InvalidData: too few rows."""
        folds, truth = self._wish.folds, self._target.values[rows]
        rarest = int(np.bincount(truth).min()) if self._target.classes else len(rows) // _LEAST_ROWS
        if rarest < folds:
            what = "the rarest class has" if self._target.classes else "there is half of"
            raise InvalidData(f"too few rows for {folds} folds: {what} {rarest} among those to learn from")
        make = StratifiedKFold if self._target.classes else KFold
        splits = make(folds, shuffle=True, random_state=self._wish.seed).split(rows, truth)
        found: list[Scores] = []
        for learning, testing in splits:
            found.append(self.scores(self.learn(rows[learning], is_rehearsal=True), rows[testing]))
            say(f"fold {len(found)} of {folds}: {shown(found[-1])}")
        return scores.summary(found)

    def _shape(self, width: int) -> Shape:
        task, classes = self._target.task, len(self._target.classes)
        return Shape(algorithm=self._wish.algorithm, task=task, classes=classes, width=width)

    def _columns(self, rows: Rows, *, is_rehearsal: bool) -> tuple[list[Column], list[LeftOut]]:
        """Raises InvalidData if none is of use, or one is not that was asked for by name."""
        known: list[Column] = []
        left_out: list[LeftOut] = []
        scaled, most = self._wish.algorithm.is_scaled, self._wish.max_categories
        for name in self._names:
            try:
                known.append(columns.learned(self._table, name, rows, is_scaled=scaled, max_categories=most))
            except Useless as reason:
                if self._wish.features and not is_rehearsal:
                    raise InvalidData(f"the feature {name!r} {reason}", column=name) from None
                left_out.append(LeftOut(column=name, reason=str(reason)))
        if not known:
            raise InvalidData("no column beside the target is of use as a feature")
        if left_out and not is_rehearsal:
            warn(f"columns left out: {named([f'{one.column} ({one.reason})' for one in left_out])}")
        return known, left_out


def _chosen(table: Table, target: Target, wish: Wish) -> list[str]:
    missing = [name for name in (*wish.features, *wish.exclude) if name not in table.columns]
    if missing:
        raise InvalidData(f"the dataset has no column {named(missing)}", columns=missing)
    names = [name for name in wish.features or table.columns if name not in wish.exclude and name != target.name]
    if not names:
        raise InvalidData("no column is left beside the target")
    return names


def shown(found: Scores) -> str:
    """`accuracy 0.9667, f1 0.9664`: the measures that are numbers."""
    return ", ".join(f"{name} {value:.4g}" for name, value in found.items() if isinstance(value, float))
