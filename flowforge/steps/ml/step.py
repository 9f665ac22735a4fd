"""The step type: fetch what is needed, have it trained or predicted in a process of its own, store what came of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

from flowforge.core.errors import Fault
from flowforge.core.json import Json
from flowforge.core.jsonschema import compile_schema
from flowforge.core.pointers import pointer_of
from flowforge.steps.base import BaseStep, Completed, Context, CredentialRefused, Failed, Kind, Outcome, Queue
from flowforge.steps.data import transfer
from flowforge.steps.data.failures import DataFailure
from flowforge.steps.data.locations import faults_of_location
from flowforge.steps.data.places import MEDIA_TYPES, Place, place
from flowforge.steps.lenient import lenient
from flowforge.steps.ml import config as of
from flowforge.steps.ml.algorithms import ALGORITHMS, DEFAULT
from flowforge.steps.ml.process import ask
from flowforge.steps.scratch import scratch_directory
from flowforge.steps.values import holds_expression

_MODEL_TYPE: Final = "application/zip"
_CARD_TYPE: Final = "text/markdown; charset=utf-8"
_WITH_CARD: Final = ("file", "s3")  # where a second file can lie beside the model


class MlTraining(BaseStep):
    """Its model is one file, with a card that says how it came about; the same seed gives the same model."""

    name: ClassVar[str] = "ml_training"
    title: ClassVar[str] = "Machine learning"
    description: ClassVar[str] = "Trains a model on a dataset, measures it and stores it; or predicts by one."
    kind: ClassVar[Kind] = "effect"
    queue: ClassVar[Queue] = "process"
    starts_processes: ClassVar[bool] = True
    default_timeout_seconds: ClassVar[float | None] = 3600.0
    credential_members: ClassVar[frozenset[str]] = frozenset(
        {"dataset_credential", "model_credential", "target_credential"}
    )
    config_schema: ClassVar[Mapping[str, Any]] = of.CONFIG_SCHEMA
    output_schema: ClassVar[Mapping[str, Any]] = of.OUTPUT_SCHEMA

    def check(self, config: Mapping[str, Any]) -> list[Fault]:
        """What each mode needs, and what means nothing to it; whether algorithm, task and columns fit together."""
        urls = ("dataset_url", "model_url", "target_url")
        faults = [fault for member in urls for fault in faults_of_location(config, member)]
        mode = config.get("mode", of.TRAIN)
        if holds_expression(mode):
            return faults
        foreign = of.ONLY_PREDICTED if mode == of.TRAIN else of.ONLY_TRAINED
        unwanted = [_fault(name, "not_for_mode", f"means nothing to the mode {mode}") for name in foreign & set(config)]
        missing = [_fault(name, "required", "is required") for name in of.NEEDED[mode] if name not in config]
        return faults + sorted(unwanted, key=lambda fault: fault.pointer) + missing + _faults_of_training(config)

    def run(self, context: Context) -> Outcome:
        faults = self.check(context.config)  # expressions may have brought together what does not fit
        if faults:
            details: dict[str, Json] = {"errors": [fault.as_dict() for fault in faults]}
            return Failed(code="invalid_config", message=faults[0].detail, retryable=False, details=details)
        try:
            with scratch_directory(context.settings.home) as scratch:
                if context.config.get("mode", of.TRAIN) == of.PREDICT:
                    return _predicted(context, scratch)
                return _trained(context, scratch)
        except (DataFailure, CredentialRefused) as refusal:
            return refusal.failed()


def _faults_of_training(config: Mapping[str, Any]) -> list[Fault]:
    name, task = config.get("algorithm", DEFAULT), config.get("task")
    found: list[Fault] = []
    features = config.get("features")
    if isinstance(features, list) and config.get("target") in features:
        found.append(_fault("features", "holds_target", "a model learns nothing from what it has to predict"))
    if task is None or holds_expression(task) or holds_expression(name):
        return found
    algorithm = ALGORITHMS[name]
    if task not in algorithm.tasks:
        return [*found, _fault("task", "algorithm_mismatch", f"{name} does no {task}")]
    given = config.get("hyperparameters")
    if isinstance(given, Mapping):
        faults = compile_schema(lenient(algorithm.schema(task))).faults(dict(given))
        found += [_fault("hyperparameters", fault.code, fault.detail, fault.pointer) for fault in faults]
    return found


def _fault(member: str, code: str, detail: str, below: str = "") -> Fault:
    return Fault(pointer=pointer_of([member]) + below, code=code, detail=detail)


def _trained(context: Context, scratch: Path) -> Outcome:
    config = context.config
    goal = _place(config, "model") if "model_url" in config else place(_usual_url(context))
    dataset = _place(config, "dataset")
    model_path, card_path = scratch / "model.zip", scratch / "card.md"
    request: dict[str, Json] = {
        "mode": of.TRAIN,
        **_fetched_dataset(context, dataset, scratch),
        "location": dataset.location.shown,
        "model_path": str(model_path),
        "card_path": str(card_path),
        "identity": _identity(context),
        "config": {
            "algorithm": DEFAULT,
            "hyperparameters": {},
            "seed": 0,
            "test_size": of.DEFAULT_TEST_SIZE,
            "max_categories": of.DEFAULT_CATEGORIES,
            **{name: config[name] for name in sorted(of.ONLY_TRAINED & set(config))},
        },
    }
    output = ask(context, request, scratch)
    if isinstance(output, Failed):
        return output
    transfer.store(context, goal, model_path, content_type=_MODEL_TYPE)
    beside = _card_url(goal)
    if beside is not None:
        card = place(beside, credential=goal.credential)
        transfer.store(context, card, card_path, content_type=_CARD_TYPE)
    return Completed(output={"model_url": goal.location.shown, "card_url": beside, **output})


def _predicted(context: Context, scratch: Path) -> Outcome:
    config = context.config
    model, goal = _place(config, "model"), _place(config, "target") if "target_url" in config else None
    if goal is not None and goal.format is None:
        raise DataFailure("unknown_format", f"The name of {goal.location.shown} says no format to write.")
    transfer.fetch(context, model, scratch / "model.zip")
    target_path = None if goal is None else scratch / "predictions"
    request: dict[str, Json] = {
        "mode": of.PREDICT,
        **_fetched_dataset(context, _place(config, "dataset"), scratch),
        "model": str(scratch / "model.zip"),
        "sha256": config.get("sha256"),
        "target_path": None if target_path is None else str(target_path),
        "target_format": None if goal is None else goal.format,
        "limit": config.get("limit", of.DEFAULT_LIMIT),
    }
    output = ask(context, request, scratch)
    if isinstance(output, Failed):
        return output
    if goal is not None and goal.format is not None and target_path is not None:
        transfer.store(context, goal, target_path, content_type=MEDIA_TYPES[goal.format])
    target_url = None if goal is None else goal.location.shown
    return Completed(output={"model_url": model.location.shown, "target_url": target_url, **output})


def _place(config: Mapping[str, Any], end: str) -> Place:
    return place(config[f"{end}_url"], credential=config.get(f"{end}_credential"))


def _fetched_dataset(context: Context, dataset: Place, scratch: Path) -> dict[str, Json]:
    fetched = transfer.fetch(context, dataset, scratch / "dataset")
    file_format = context.config.get("format") or fetched.format
    if file_format is None:
        raise DataFailure("unknown_format", f"Nothing says which format {dataset.location.shown} has: give `format`.")
    return {"dataset": str(fetched.path), "format": file_format}


def _usual_url(context: Context) -> str:
    """The same for every attempt, and another for every item of a map."""
    roots = context.settings.file_roots
    if not roots:
        message = "There is no folder for models here (FLOWFORGE_FILE_ROOTS): give a model_url."
        raise DataFailure("file_refused", message)
    item = "" if context.index is None else f"-{context.index}"
    name = f"{context.run_id}-{context.node_id}{item}.zip"
    return Path(roots[0], "models", context.config["model_name"], name).absolute().as_uri()


def _card_url(goal: Place) -> str | None:
    if goal.location.scheme not in _WITH_CARD:
        return None
    return goal.location.shown.removesuffix(".zip") + ".md"


def _identity(context: Context) -> dict[str, Json]:
    return {
        "run_id": context.run_id,
        "step_id": context.node_id,
        "index": context.index,
        "attempt": context.attempt,
        "created_at": context.now.isoformat(),
    }
