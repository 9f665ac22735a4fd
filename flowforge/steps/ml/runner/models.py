"""Models of both libraries behind one face: fit, predict, dump, load. None of it ever is a pickle.

scikit-learn's are kept by skops, which builds them from a description and refuses types that are not on a list;
XGBoost's as its own JSON. One thread each: the same seed gives the same model then, on any machine.
"""

import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import skops.io
import xgboost
from numpy.typing import NDArray
from skops.io.exceptions import UntrustedTypesFoundException

from flowforge.steps.ml.algorithms import CLASSIFICATION, Algorithm
from flowforge.steps.ml.runner.columns import Matrix
from flowforge.steps.ml.runner.refusals import InvalidModel, Refused, said_by

Values = NDArray[Any]

MAX_MODEL_BYTES: Final = 1024**3  # unpacked
_MAX_PARTS: Final = 1_000_000  # of a skops file: a forest has some for each tree
_ROUND_LINES: Final = 20
_TRUSTED: Final = (  # beyond what skops trusts of itself, for the algorithms of `algorithms.py`
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.metrics._dist_metrics.ChebyshevDistance64",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.metrics._dist_metrics.ManhattanDistance64",
    "sklearn.metrics._dist_metrics.MinkowskiDistance64",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.tree._tree.Tree",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """What a model is made for."""

    algorithm: Algorithm
    task: str
    classes: int  # 0 of a regression
    width: int  # columns of its matrix


@dataclass(frozen=True, kw_only=True, slots=True)
class Watched:
    """Rows that stop the training as soon as they get no better."""

    matrix: Matrix
    values: Values


class Model(Protocol):
    """Something that was fitted."""

    file_name: str

    def predict(self, matrix: Matrix) -> Values:
        """Of a regression: a number each row."""
        ...

    def probabilities(self, matrix: Matrix) -> Values:
        """Of a classification: (rows, classes)."""
        ...

    def importances(self) -> Values | None:
        """One a column of the matrix, of no particular sum; None where the algorithm knows none."""
        ...

    def dump(self, path: Path) -> None: ...


class Estimator:
    """One of scikit-learn's."""

    file_name = "model.skops"

    def __init__(self, estimator: Any) -> None:
        self._estimator = estimator

    def predict(self, matrix: Matrix) -> Values:
        found: Values = self._estimator.predict(matrix)
        return found

    def probabilities(self, matrix: Matrix) -> Values:
        found: Values = self._estimator.predict_proba(matrix)
        return found

    def importances(self) -> Values | None:
        if hasattr(self._estimator, "feature_importances_"):
            return np.asarray(self._estimator.feature_importances_, dtype=np.float64)
        if hasattr(self._estimator, "coef_"):
            coefficients: Values = np.abs(np.atleast_2d(self._estimator.coef_)).mean(axis=0)
            return coefficients
        return None

    def dump(self, path: Path) -> None:
        skops.io.dump(self._estimator, path, compression=zipfile.ZIP_STORED)  # the file around it is packed


class Boosted:
    """One of XGBoost's."""

    file_name = "model.json"

    def __init__(self, booster: xgboost.Booster, classes: int) -> None:
        self._booster = booster
        self._classes = classes

    def predict(self, matrix: Matrix) -> Values:
        found: Values = self._booster.predict(xgboost.DMatrix(matrix, nthread=1)).astype(np.float64)
        return found

    def probabilities(self, matrix: Matrix) -> Values:
        found = self.predict(matrix)
        return np.column_stack([1 - found, found]) if self._classes == 2 else found

    def importances(self) -> Values | None:
        gains = self._booster.get_score(importance_type="total_gain")  # by f0, f1 …; those never split on are missing
        return np.array(
            [gains.get(f"f{place}", 0.0) for place in range(self._booster.num_features())], dtype=np.float64
        )

    def dump(self, path: Path) -> None:
        path.write_bytes(self._booster.save_raw("json"))


def fitted(
    shape: Shape,
    given: Mapping[str, Any],
    seed: int,
    matrix: Matrix,
    values: Values,
    *,
    watched: Watched | None = None,
    say: Callable[[str], None] | None = None,
) -> Model:
    """Train. `say` hears of rounds where there are any. Raises Refused where values of hyper-parameters don't go."""
    try:
        if shape.algorithm.name == "xgboost":
            return _boosted(shape, given, seed, matrix, values, watched, say)
        made = _class_of(shape)(**given)
        if "random_state" in made.get_params():
            made.set_params(random_state=seed)
        if made.get_params().get("n_neighbors", 0) > len(values):
            raise ValueError(f"n_neighbors is more than the {len(values)} rows to learn from")
        return Estimator(made.fit(matrix, values))
    except (ValueError, xgboost.core.XGBoostError) as error:  # the data were checked before
        if "bad_alloc" in str(error):
            raise MemoryError(said_by(error)) from None
        message = f"{shape.algorithm.name} refuses what it was given: {said_by(error)}"
        raise Refused("invalid_hyperparameters", message) from None


def loaded(shape: Shape, path: Path) -> Model:
    """A model that `dump` has written. Raises InvalidModel on all else."""
    try:
        return _loaded_booster(shape, path) if shape.algorithm.name == "xgboost" else _loaded_estimator(shape, path)
    except InvalidModel:
        raise
    except UntrustedTypesFoundException as error:
        raise InvalidModel(f"the model holds what no model of ours does: {said_by(error)}") from None
    except Exception as error:  # noqa: BLE001  both libraries raise anything on files that are not theirs
        raise InvalidModel(f"the model cannot be read: {said_by(error)}") from None


def _class_of(shape: Shape) -> Any:
    module, _, name = shape.algorithm.class_for(shape.task).partition(":")
    return getattr(import_module(module), name)


def _loaded_estimator(shape: Shape, path: Path) -> Model:
    with zipfile.ZipFile(path) as packed:
        parts = packed.infolist()
    if len(parts) > _MAX_PARTS or sum(part.file_size for part in parts) > MAX_MODEL_BYTES:
        raise InvalidModel(f"the model has over {MAX_MODEL_BYTES} bytes, or {_MAX_PARTS} parts")
    found = skops.io.load(path, trusted=list(_TRUSTED))
    if type(found) is not _class_of(shape):
        raise InvalidModel(f"the model is a {type(found).__name__}, not a {_class_of(shape).__name__}")
    if found.n_features_in_ != shape.width:
        raise InvalidModel(f"the model takes {found.n_features_in_} columns, its preprocessing gives {shape.width}")
    return Estimator(found)


def _loaded_booster(shape: Shape, path: Path) -> Model:
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(path.read_bytes()))
    booster.set_param({"nthread": 1, "device": "cpu"})
    if booster.num_features() != shape.width:
        raise InvalidModel(f"the model takes {booster.num_features()} columns, its preprocessing gives {shape.width}")
    return Boosted(booster, shape.classes)


def _boosted(
    shape: Shape,
    given: Mapping[str, Any],
    seed: int,
    matrix: Matrix,
    values: Values,
    watched: Watched | None,
    say: Callable[[str], None] | None,
) -> Model:
    wanted = dict(given)
    rounds, patience = wanted.pop("n_estimators", 100), wanted.pop("early_stopping_rounds", None)
    training = xgboost.DMatrix(matrix, label=values, nthread=1)
    shown = [(training, "train")] if say else []
    if watched is not None:
        shown = [*shown, (xgboost.DMatrix(watched.matrix, label=watched.values, nthread=1), "validation")]
    booster = xgboost.train(
        {**_objective(shape), **wanted, "seed": seed, "nthread": 1, "device": "cpu", "verbosity": 0},
        training,
        num_boost_round=rounds,
        evals=shown,
        early_stopping_rounds=patience if watched is not None else None,
        callbacks=[_Rounds(say, rounds)] if say else [],
        verbose_eval=False,
    )
    if watched is not None:
        booster = booster[: booster.best_iteration + 1]
    return Boosted(booster, shape.classes)


def _objective(shape: Shape) -> dict[str, Any]:
    if shape.task != CLASSIFICATION:
        return {"objective": "reg:squarederror"}
    if shape.classes == 2:
        return {"objective": "binary:logistic"}
    return {"objective": "multi:softprob", "num_class": shape.classes}


class _Rounds(xgboost.callback.TrainingCallback):
    """Says how far a training is, some twenty times."""

    def __init__(self, say: Callable[[str], None], rounds: int) -> None:
        super().__init__()
        self._say = say
        self._rounds = rounds
        self._every = max(1, rounds // _ROUND_LINES)

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002  the library's signature
        done = epoch + 1
        if done % self._every == 0 or done == self._rounds:
            losses = [
                f"{part} {name} {found[-1]:.6g}" for part, one in evals_log.items() for name, found in one.items()
            ]
            self._say(f"round {done} of {self._rounds}: {', '.join(losses)}")
        return False


def tell_warnings(say: Callable[[str], None]) -> None:
    """What libraries warn of goes to the step's log, a line each and once."""

    def told(message: Warning | str, *_: Any, **__: Any) -> None:
        say(said_by(message) if isinstance(message, Warning) else message)

    warnings.simplefilter("once")
    warnings.showwarning = told
