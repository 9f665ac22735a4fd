"""JSON Schemas of the hyper-parameters of each algorithm: the names and meanings of scikit-learn 1.9 and XGBoost 3.

Threads, devices, seeds and how much is printed are the step's own and no hyper-parameters. `BOTH` holds for either
task, the other two for one alone.
"""

from collections.abc import Mapping
from typing import Any, Final

Properties = Mapping[str, Mapping[str, Any]]


def _whole(least: int, most: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most}


def _one_of(*values: str | None) -> dict[str, Any]:
    return {"enum": list(values)}


_BOOLEAN: Final = {"type": "boolean"}
_NOT_NEGATIVE: Final = {"type": "number", "minimum": 0}
_POSITIVE: Final = {"type": "number", "exclusiveMinimum": 0}
_SHARE: Final = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
_FRACTION: Final = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
_TREES: Final = _whole(1, 100_000)
_ITERATIONS: Final = _whole(1, 10_000_000)
_COUNT_OR_SHARE: Final = {"anyOf": [_whole(1, 1_000_000_000), _FRACTION]}
_MAX_FEATURES: Final = {"anyOf": [_one_of("sqrt", "log2", None), _whole(1, 1_000_000), _SHARE]}
_CLASS_WEIGHT: Final = {"class_weight": _one_of("balanced", None)}
_TREE: Final[Properties] = {
    "max_depth": {"anyOf": [_whole(1, 10_000), {"type": "null"}]},
    "min_samples_split": {"anyOf": [_whole(2, 1_000_000_000), _SHARE]},
    "min_samples_leaf": _COUNT_OR_SHARE,
    "min_weight_fraction_leaf": {"type": "number", "minimum": 0, "maximum": 0.5},
    "max_features": _MAX_FEATURES,
    "max_leaf_nodes": {"anyOf": [_whole(2, 1_000_000), {"type": "null"}]},
    "min_impurity_decrease": _NOT_NEGATIVE,
    "ccp_alpha": _NOT_NEGATIVE,
}
_GINI: Final[Properties] = {"criterion": _one_of("gini", "entropy", "log_loss")}
_ERRORS: Final[Properties] = {"criterion": _one_of("squared_error", "absolute_error", "poisson")}
_FOREST: Final[Properties] = {
    **_TREE,
    "n_estimators": _TREES,
    "bootstrap": _BOOLEAN,
    "max_samples": {"anyOf": [_whole(1, 1_000_000_000), _SHARE, {"type": "null"}]},
}
_BALANCED_FOREST: Final[Properties] = {**_GINI, "class_weight": _one_of("balanced", "balanced_subsample", None)}
_LINEAR: Final[Properties] = {"fit_intercept": _BOOLEAN, "positive": _BOOLEAN}
_DESCENT: Final[Properties] = {
    **_LINEAR,
    "alpha": _NOT_NEGATIVE,
    "max_iter": _ITERATIONS,
    "tol": _NOT_NEGATIVE,
    "selection": _one_of("cyclic", "random"),
}

XGBOOST: Final[Properties] = {
    "n_estimators": _TREES,
    "early_stopping_rounds": _whole(1, 100_000),
    "learning_rate": _SHARE,
    "max_depth": _whole(0, 100),
    "max_leaves": _whole(0, 1_000_000),
    "max_bin": _whole(2, 65_536),
    "grow_policy": _one_of("depthwise", "lossguide"),
    "tree_method": _one_of("auto", "exact", "approx", "hist"),
    "gamma": _NOT_NEGATIVE,
    "min_child_weight": _NOT_NEGATIVE,
    "max_delta_step": _NOT_NEGATIVE,
    "subsample": _SHARE,
    "colsample_bytree": _SHARE,
    "colsample_bylevel": _SHARE,
    "colsample_bynode": _SHARE,
    "reg_alpha": _NOT_NEGATIVE,
    "reg_lambda": _NOT_NEGATIVE,
    "num_parallel_tree": _whole(1, 1_000),
}
XGBOOST_CLASSIFICATION: Final[Properties] = {"scale_pos_weight": _POSITIVE}
XGBOOST_REGRESSION: Final[Properties] = {
    "objective": _one_of(
        "reg:squarederror", "reg:absoluteerror", "reg:squaredlogerror", "reg:pseudohubererror", "reg:gamma",
        "reg:tweedie", "count:poisson",
    ),
    "tweedie_variance_power": {"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 2},
}  # fmt: skip
FOREST: Final[Properties] = _FOREST
FOREST_CLASSIFICATION: Final[Properties] = _BALANCED_FOREST
FOREST_REGRESSION: Final[Properties] = _ERRORS
TREE: Final[Properties] = {**_TREE, "splitter": _one_of("best", "random")}
TREE_CLASSIFICATION: Final[Properties] = {**_GINI, **_CLASS_WEIGHT}
TREE_REGRESSION: Final[Properties] = _ERRORS
GRADIENT_BOOSTING: Final[Properties] = {
    **_TREE,
    "n_estimators": _TREES,
    "learning_rate": _POSITIVE,
    "subsample": _SHARE,
    "validation_fraction": _FRACTION,
    "n_iter_no_change": {"anyOf": [_whole(1, 100_000), {"type": "null"}]},
    "tol": _NOT_NEGATIVE,
}
GRADIENT_BOOSTING_CLASSIFICATION: Final[Properties] = {"loss": _one_of("log_loss", "exponential")}
GRADIENT_BOOSTING_REGRESSION: Final[Properties] = {
    "loss": _one_of("squared_error", "absolute_error", "huber", "quantile"),
    "alpha": _FRACTION,
}
HISTOGRAM_BOOSTING: Final[Properties] = {
    "max_iter": _TREES,
    "learning_rate": _POSITIVE,
    "max_depth": {"anyOf": [_whole(1, 10_000), {"type": "null"}]},
    "max_leaf_nodes": {"anyOf": [_whole(2, 1_000_000), {"type": "null"}]},
    "min_samples_leaf": _whole(1, 1_000_000_000),
    "l2_regularization": _NOT_NEGATIVE,
    "max_features": _SHARE,
    "max_bins": _whole(2, 255),
    "early_stopping": {"anyOf": [_BOOLEAN, _one_of("auto")]},
    "validation_fraction": _FRACTION,
    "n_iter_no_change": _whole(1, 100_000),
    "tol": _NOT_NEGATIVE,
}
HISTOGRAM_BOOSTING_CLASSIFICATION: Final[Properties] = _CLASS_WEIGHT
HISTOGRAM_BOOSTING_REGRESSION: Final[Properties] = {
    "loss": _one_of("squared_error", "absolute_error", "gamma", "poisson", "quantile"),
    "quantile": {"type": "number", "minimum": 0, "maximum": 1},
}
NEIGHBORS: Final[Properties] = {
    "n_neighbors": _whole(1, 100_000),
    "weights": _one_of("uniform", "distance"),
    "algorithm": _one_of("auto", "ball_tree", "kd_tree", "brute"),
    "leaf_size": _whole(1, 100_000),
    "metric": _one_of("minkowski", "euclidean", "manhattan", "chebyshev"),
    "p": _POSITIVE,
}
LOGISTIC: Final[Properties] = {
    **_CLASS_WEIGHT,
    "C": _POSITIVE,
    "l1_ratio": {"type": "number", "minimum": 0, "maximum": 1},
    "solver": _one_of("lbfgs", "liblinear", "newton-cg", "newton-cholesky", "sag", "saga"),
    "max_iter": _ITERATIONS,
    "tol": _POSITIVE,
    "fit_intercept": _BOOLEAN,
}
NAIVE_BAYES: Final[Properties] = {"var_smoothing": _NOT_NEGATIVE}
LINEAR: Final[Properties] = _LINEAR
RIDGE: Final[Properties] = {
    **_LINEAR,
    "alpha": _NOT_NEGATIVE,
    "max_iter": {"anyOf": [_ITERATIONS, {"type": "null"}]},
    "tol": _NOT_NEGATIVE,
    "solver": _one_of("auto", "svd", "cholesky", "lsqr", "sparse_cg", "sag", "saga", "lbfgs"),
}
LASSO: Final[Properties] = _DESCENT
ELASTIC_NET: Final[Properties] = {**_DESCENT, "l1_ratio": {"type": "number", "minimum": 0, "maximum": 1}}
