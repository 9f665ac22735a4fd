"""What an `ml_training` step can be told, and what it gives back, as JSON Schemas."""

from collections.abc import Mapping
from typing import Any, Final

from flowforge.steps.ml.algorithms import ALGORITHMS, DEFAULT, TASKS

TRAIN: Final = "train"
PREDICT: Final = "predict"
FORMATS: Final = ("csv", "json", "ndjson", "parquet")

DEFAULT_TEST_SIZE: Final = 0.2
DEFAULT_CATEGORIES: Final = 50
DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 10_000
MAX_NAMES: Final = 1_000

ONLY_TRAINED: Final = frozenset(
    {
        "model_name", "target", "task", "algorithm", "hyperparameters", "features", "exclude", "test_size", "seed",
        "cross_validation", "max_categories",
    }
)  # fmt: skip
ONLY_PREDICTED: Final = frozenset({"sha256", "target_url", "target_credential", "limit"})
NEEDED: Final[Mapping[str, tuple[str, ...]]] = {TRAIN: ("model_name", "target"), PREDICT: ("model_url",)}

_NAME: Final = {"type": "string", "minLength": 1, "maxLength": 1000}
_NAMES: Final = {"type": "array", "minItems": 1, "maxItems": MAX_NAMES, "items": _NAME}
_CREDENTIAL: Final = {"type": "string", "minLength": 1}
_MEASURE: Final = {"type": ["number", "null"]}


def _hyperparameters_of(name: str, *, condition: Mapping[str, Any]) -> dict[str, Any]:
    return {"if": condition, "then": {"properties": {"hyperparameters": ALGORITHMS[name].schema()}}}


def _by_algorithm() -> list[dict[str, Any]]:
    """The hyper-parameters of each algorithm; without one, those of the default."""
    return [
        _hyperparameters_of(DEFAULT, condition={"not": {"required": ["algorithm"]}}),
        *(
            _hyperparameters_of(
                name, condition={"required": ["algorithm"], "properties": {"algorithm": {"const": name}}}
            )
            for name in ALGORITHMS
        ),
    ]


_PLACES: Final[Mapping[str, Any]] = {
    "dataset_url": {
        "type": "string",
        "minLength": 1,
        "title": "Dataset",
        "description": "file://, http(s)://, s3:// or asset://; csv (with a header), json, ndjson or parquet.",
        "examples": ["file://iris.csv"],
    },
    "dataset_credential": {**_CREDENTIAL, "title": "Credential of the dataset"},
    "format": {"enum": list(FORMATS), "title": "Format", "description": "Where the dataset's name does not say it."},
    "model_url": {
        "type": "string",
        "minLength": 1,
        "title": "Model",
        "description": "Where the model goes, or comes from. Without one it goes to the first file root: "
        "models/<model_name>/<run>-<node>.zip.",
    },
    "model_credential": {**_CREDENTIAL, "title": "Credential of the model"},
}
_TRAINING: Final[Mapping[str, Any]] = {
    "model_name": {
        "type": "string",
        "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$",
        "title": "Name",
        "examples": ["churn"],
    },
    "target": {**_NAME, "title": "Target", "description": "The column to predict."},
    "task": {"enum": list(TASKS), "title": "Task", "description": "Without one, what the target looks like."},
    "algorithm": {"enum": list(ALGORITHMS), "default": DEFAULT, "title": "Algorithm"},
    "hyperparameters": {"type": "object", "title": "Hyper-parameters"},
    "features": {**_NAMES, "title": "Features", "description": "The columns to learn from; without it, all others."},
    "exclude": {**_NAMES, "title": "Left out", "description": "Columns that are no features."},
    "test_size": {
        "type": "number",
        "exclusiveMinimum": 0,
        "exclusiveMaximum": 1,
        "default": DEFAULT_TEST_SIZE,
        "title": "Test share",
        "description": "Of the rows, to measure by; of each class its share.",
    },
    "seed": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1, "default": 0, "title": "Seed"},
    "cross_validation": {"type": "integer", "minimum": 2, "maximum": 20, "title": "Folds of cross-validation"},
    "max_categories": {
        "type": "integer",
        "minimum": 1,
        "maximum": 1000,
        "default": DEFAULT_CATEGORIES,
        "title": "Categories at most",
        "description": "Of each text column: its most frequent values get a column each, the others share one.",
    },
}
_PREDICTING: Final[Mapping[str, Any]] = {
    "sha256": {
        "type": "string",
        "pattern": "^[0-9a-f]{64}$",
        "title": "SHA-256 of the model",
        "description": "As the training's output has it: another file is refused.",
    },
    "target_url": {
        "type": "string",
        "minLength": 1,
        "title": "Predictions",
        "description": "Where the dataset goes with its predictions; its ending says the format.",
    },
    "target_credential": {**_CREDENTIAL, "title": "Credential of the predictions"},
    "limit": {
        "type": "integer",
        "minimum": 0,
        "maximum": MAX_LIMIT,
        "default": DEFAULT_LIMIT,
        "title": "Predictions in the output at most",
    },
}

CONFIG_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["dataset_url"],
    "additionalProperties": False,
    "properties": {
        "mode": {"enum": [TRAIN, PREDICT], "default": TRAIN, "title": "Train or predict"},
        **_PLACES,
        **_TRAINING,
        **_PREDICTING,
    },
    "allOf": _by_algorithm(),
}

_MEASURES: Final[Mapping[str, Any]] = {
    "type": "object",
    "description": "On the rows of the test. Of a classification accuracy, precision, recall and f1 (means over the "
    "classes), roc_auc, log_loss and confusion_matrix; of a regression rmse, mae and r2. null: not defined.",
    "required": ["baseline"],
    "properties": {
        "baseline": {
            "type": "object",
            "description": "The same for who knows the training rows' most frequent class, or mean, alone.",
            "additionalProperties": _MEASURE,
        },
        "confusion_matrix": {
            "type": "object",
            "required": ["labels", "matrix"],
            "properties": {
                "labels": {"type": "array"},
                "matrix": {
                    "type": "array",
                    "items": {"type": "array", "items": {"type": "integer"}},
                    "description": "[i][j]: rows of class i that were taken for class j.",
                },
            },
        },
        "cross_validation": {"type": "object", "description": "{mean, std} of each measure over the folds."},
    },
    "additionalProperties": _MEASURE,
}
OUTPUT_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["model_url", "sha256", "model_name", "algorithm", "task", "features", "rows"],
    "properties": {
        "model_url": {"type": "string"},
        "card_url": {"type": ["string", "null"], "description": "The model's card, where there is a place beside it."},
        "sha256": {"type": "string", "description": "Of the model's file."},
        "model_name": {"type": "string"},
        "algorithm": {"enum": list(ALGORITHMS)},
        "task": {"enum": list(TASKS)},
        "metrics": _MEASURES,
        "features": {"type": "array", "items": {"type": "string"}},
        "importances": {
            "type": ["array", "null"],
            "description": "The largest first; together 1. null: the algorithm knows none.",
            "items": {
                "type": "object",
                "properties": {"feature": {"type": "string"}, "importance": {"type": "number"}},
            },
        },
        "left_out": {"type": "array", "items": {"type": "object"}, "description": "{column, reason}."},
        "rows": {"type": "integer", "description": "Rows with a target; of a prediction, all."},
        "rows_train": {"type": "integer"},
        "rows_test": {"type": "integer"},
        "predictions": {"type": "array", "description": "Of the first rows."},
        "probabilities": {"type": ["array", "null"], "description": "Of the class that is predicted."},
        "is_truncated": {"type": "boolean", "description": "Whether there are more predictions than these."},
        "target_url": {"type": ["string", "null"]},
    },
}
