"""A run that trains a model and predicts by it: the real engine, real processes, real data."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flowforge.engine import execution
from flowforge.projects.models import Project
from tests.engine.conftest import Flow, chain, step
from tests.support.datasets import shipped

pytestmark = [pytest.mark.django_db, pytest.mark.processes]

TRAIN = {
    "id": "train",
    "type": "ml_training",
    "config": {
        "model_name": "tumours",
        "dataset_url": "file://breast_cancer.csv",
        "target": "target",
        "algorithm": "{{ inputs.algorithm }}",
        "hyperparameters": {"n_estimators": "{{ inputs.rounds }}"},
        "test_size": 0.25,
    },
}
PREDICT = {
    "id": "predict",
    "type": "ml_training",
    "config": {
        "mode": "predict",
        "model_url": "{{ steps.train.output.model_url }}",
        "sha256": "{{ steps.train.output.sha256 }}",
        "dataset_url": "file://breast_cancer.csv",
        "target_url": "file://predicted.csv",
        "limit": 2,
    },
}
OUTPUT = {"accuracy": "{{ steps.train.output.metrics.accuracy }}", "first": "{{ steps.predict.output.predictions }}"}


@pytest.fixture
def files(settings: Any, tmp_path: Path, project: Project) -> Iterator[Path]:
    """The folder that steps may write to, with a data set in it."""
    settings.HOME, settings.FILE_ROOTS = tmp_path, [tmp_path / "files"]
    execution.step_settings.cache_clear()
    Project.objects.filter(pk=project.pk).update(settings={"allowed_step_types": ["ml_training"]})
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "breast_cancer.csv").write_text(shipped("breast_cancer"))
    yield tmp_path / "files"
    execution.step_settings.cache_clear()


def test_it_works(flow: Callable[..., Flow], files: Path) -> None:
    run = flow(chain(TRAIN, PREDICT), output=OUTPUT).run(algorithm="random_forest", rounds=25)
    assert run.status == "completed", run.error
    assert run.outputs["accuracy"] > 0.9
    assert run.outputs["first"] == ["malignant", "malignant"]
    model = files / "models" / "tumours" / f"{run.id}-train.zip"
    assert step(run, "train").output["model_url"] == model.as_uri()
    assert str(run.id) in model.with_suffix(".md").read_text()
    assert (files / "predicted.csv").read_text().count("\n") == 570


def test_it_rejects_what_an_expression_gave(flow: Callable[..., Flow], files: Path) -> None:
    run = flow(chain(TRAIN, PREDICT)).run(algorithm="ridge", rounds=25)
    assert run.status == "failed"
    found = step(run, "train").error
    assert found["code"] == "invalid_config"
    assert found["details"]["errors"][0]["pointer"] == "/hyperparameters/n_estimators"


def test_it_rejects_a_project_that_does_not_allow_it(flow: Callable[..., Flow], files: Path, project: Project) -> None:
    Project.objects.filter(pk=project.pk).update(settings={"allowed_step_types": []})
    run = flow(chain(TRAIN, PREDICT)).run(algorithm="xgboost", rounds=5)
    assert step(run, "train").error["code"] == "type_not_allowed"
