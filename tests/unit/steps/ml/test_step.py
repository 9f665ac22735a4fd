"""ml_training: what is refused when it is saved, and whole steps with a process of their own."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from flowforge.steps.base import Completed, Failed, StepCancelled
from flowforge.steps.ml.algorithms import ALGORITHMS
from flowforge.steps.ml.step import MlTraining
from flowforge.steps.registry import default_registry
from tests.support.data import AWS, Assets, Bucket, Credentials, s3_server
from tests.support.datasets import shipped
from tests.support.steps import Attempt

Config = dict[str, Any]
GOOD: Config = {"model_name": "iris", "dataset_url": "file://iris.csv", "target": "target"}
ASKED: Config = {"mode": "predict", "dataset_url": "file://iris.csv", "model_url": "file://model.zip"}


def faults(config: Config) -> dict[str, str]:
    return {fault.pointer: fault.code for fault in default_registry().faults("ml_training", config)}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (GOOD, {}),
        (ASKED, {}),
        (GOOD | {"hyperparameters": {"max_depth": 3, "early_stopping_rounds": 5}}, {}),
        (GOOD | {"hyperparameters": {"max_dept": 3}}, {"/hyperparameters/max_dept": "additional_properties"}),
        (GOOD | {"hyperparameters": {"max_depth": "3"}}, {"/hyperparameters/max_depth": "type"}),
        (GOOD | {"hyperparameters": {"n_jobs": 4}}, {"/hyperparameters/n_jobs": "additional_properties"}),
        (GOOD | {"hyperparameters": {"device": "cuda"}}, {"/hyperparameters/device": "additional_properties"}),
        (GOOD | {"hyperparameters": {"max_depth": "{{ inputs.depth }}"}}, {}),
        (GOOD | {"hyperparameters": "{{ inputs.all }}"}, {}),
        (
            GOOD | {"algorithm": "ridge", "hyperparameters": {"max_depth": 3}},
            {"/hyperparameters/max_depth": "additional_properties"},
        ),
        (GOOD | {"algorithm": "{{ inputs.name }}", "hyperparameters": {"max_depth": 3}}, {}),
        (
            GOOD | {"algorithm": "random_forest", "hyperparameters": {"criterion": "squared_error"}},
            {},
        ),
        (
            GOOD
            | {
                "algorithm": "random_forest",
                "task": "classification",
                "hyperparameters": {"criterion": "squared_error"},
            },
            {"/hyperparameters/criterion": "enum"},
        ),
        (GOOD | {"algorithm": "lasso", "task": "classification"}, {"/task": "algorithm_mismatch"}),
        (GOOD | {"features": ["a", "target"]}, {"/features": "holds_target"}),
        (GOOD | {"features": "{{ inputs.target }}"}, {}),
        (GOOD | {"test_size": 1}, {"/test_size": "exclusive_maximum"}),
        (GOOD | {"model_name": "../up"}, {"/model_name": "pattern"}),
        (GOOD | {"sha256": "0" * 64}, {"/sha256": "not_for_mode"}),
        (GOOD | {"dataset_url": "ftp://a/b"}, {"/dataset_url": "unsupported_location"}),
        (GOOD | {"model_url": "https://me:secret@a/b"}, {"/model_url": "password_in_url"}),
        ({"dataset_url": "file://a.csv"}, {"/model_name": "required", "/target": "required"}),
        ({"mode": "predict", "dataset_url": "file://a.csv"}, {"/model_url": "required"}),
        (ASKED | {"seed": 3, "target": "x"}, {"/seed": "not_for_mode", "/target": "not_for_mode"}),
        (ASKED | {"mode": "{{ inputs.mode }}", "seed": 3}, {}),
        (ASKED | {"mode": "guess"}, {"/mode": "enum"}),
    ],
)
def test_it_rejects_a_config_by_the_place_of_its_fault(config: Config, expected: Mapping[str, str]) -> None:
    assert faults(config) == expected


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_knows_what_it_does_not_know(name: str) -> None:
    config = GOOD | {"algorithm": name, "hyperparameters": {"no_such": 1}}
    assert faults(config) == {"/hyperparameters/no_such": "additional_properties"}


def test_no_worker_loads_the_libraries() -> None:
    """They would stay for good: some 200 MB in every process of the server."""
    program = (
        "import sys; from flowforge.steps.registry import default_registry; default_registry(); "
        "print([name for name in ('numpy', 'scipy', 'sklearn', 'xgboost', 'skops', 'duckdb') if name in sys.modules])"
    )
    root = Path(__file__).parents[4]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=100, check=True
    )
    assert done.stdout == "[]\n"


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with s3_server() as found:
        yield found


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    files = tmp_path / "files"
    files.mkdir()
    (files / "iris.csv").write_text(shipped("iris"))
    return Attempt(home=tmp_path, file_roots=[files])


def done(attempt: Attempt, config: Config) -> dict[str, Any]:
    outcome = attempt.run(MlTraining(), config)
    assert isinstance(outcome, Completed), (outcome, attempt.text)
    assert isinstance(outcome.output, dict)
    return outcome.output


def fail(attempt: Attempt, config: Config) -> Failed:
    outcome = attempt.run(MlTraining(), config)
    assert isinstance(outcome, Failed), outcome
    return outcome


@pytest.mark.processes
def test_it_works(attempt: Attempt) -> None:
    """Twice the same seed, in two processes, is the same file but for its name; and it predicts what it was taught."""
    files = attempt.file_roots[0]
    trained = done(attempt, GOOD)
    usual = files / "models" / "iris" / "run-1-node-1.zip"
    assert trained["model_url"] == usual.as_uri()
    assert trained["card_url"] == usual.with_suffix(".md").as_uri()
    assert usual.with_suffix(".md").read_text().startswith("# iris\n")
    assert trained["metrics"]["accuracy"] > 0.9
    assert "round 100 of 100: train mlogloss 0." in attempt.text
    again = done(attempt, GOOD | {"model_url": "file://again.zip"})
    assert (files / "again.zip").read_bytes() == usual.read_bytes()
    assert {**again, "model_url": "", "card_url": ""} == {**trained, "model_url": "", "card_url": ""}
    asked = {**ASKED, "model_url": trained["model_url"], "sha256": trained["sha256"], "target_url": "file://out.csv"}
    found = done(attempt, asked | {"limit": 2})
    assert found["predictions"] == ["setosa", "setosa"]
    assert (files / "out.csv").read_text().count("\n") == 151
    assert list(attempt.home.glob("scratch/*")) == []


@pytest.mark.processes
def test_an_estimator_is_the_same_in_another_process(attempt: Attempt) -> None:
    config = GOOD | {"algorithm": "extra_trees", "hyperparameters": {"n_estimators": 20, "bootstrap": True}}
    first, second = (done(attempt, config | {"model_url": f"file://{name}.zip"}) for name in "ab")
    assert first["metrics"] == second["metrics"]
    assert first["importances"] == second["importances"]
    answers = [done(attempt, ASKED | {"model_url": f"file://{name}.zip", "limit": 150}) for name in "ab"]
    assert answers[0]["predictions"] == answers[1]["predictions"]
    assert answers[0]["probabilities"] == answers[1]["probabilities"]


@pytest.mark.processes
def test_a_model_lives_in_s3_and_in_assets(attempt: Attempt, bucket: Bucket, tmp_path: Path) -> None:
    attempt.credentials = Credentials(store=("aws", {**AWS, "endpoint_url": bucket.endpoint, "region": "us-east-1"}))
    attempt.assets = Assets(folder=tmp_path / "files")
    bucket.write("data/iris.csv", shipped("iris").encode())
    (tmp_path / "files" / "model-1").write_bytes(b"")
    in_s3 = {"dataset_url": "s3://bucket/data/iris.csv", "dataset_credential": "store"}
    trained = done(attempt, GOOD | in_s3 | {"model_url": "s3://bucket/m.zip", "model_credential": "store"})
    assert bucket.read("m.zip").startswith(b"PK")
    assert bucket.read("m.md").startswith(b"# iris\n")
    asked = ASKED | {"model_url": "s3://bucket/m.zip", "model_credential": "store", "limit": 1}
    assert done(attempt, asked)["predictions"] == ["setosa"]
    kept = done(attempt, GOOD | {"dataset_url": "asset://iris.csv", "model_url": "asset://model-1"})
    assert (kept["card_url"], kept["sha256"]) == (None, _digest_but_for_data(kept, trained))


def _digest_but_for_data(found: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Each card names where its dataset lay, so the files differ; what they measure does not."""
    assert found["metrics"] == other["metrics"]
    assert found["sha256"] != other["sha256"]
    return str(found["sha256"])


@pytest.mark.processes
@pytest.mark.parametrize("reason", ["cancelled", "timeout"])
def test_a_training_stops_when_told_to(attempt: Attempt, reason: str) -> None:
    attempt.cancel_after("training", reason)
    endless = {"n_estimators": 100_000, "learning_rate": 1e-9, "num_parallel_tree": 1000}
    with pytest.raises(StepCancelled, match=reason):
        attempt.run(MlTraining(), GOOD | {"hyperparameters": endless})
    assert list(attempt.home.glob("scratch/*")) == []
    assert not (attempt.file_roots[0] / "models").exists()


@pytest.mark.processes
def test_a_failure_is_told(attempt: Attempt) -> None:
    found = fail(attempt, GOOD | {"target": "species"})
    assert (found.code, found.retryable, found.details) == ("invalid_data", False, {"column": "species"})
    (attempt.file_roots[0] / "model.zip").write_bytes(b"PK")
    assert fail(attempt, ASKED).code == "invalid_model"


def test_it_rejects_what_expressions_have_brought_together(attempt: Attempt) -> None:
    found = fail(attempt, ASKED | {"seed": 3})
    assert (found.code, found.retryable) == ("invalid_config", False)
    assert found.details["errors"] == [
        {"pointer": "/seed", "code": "not_for_mode", "detail": "means nothing to the mode predict"}
    ]


def test_it_rejects_places_where_nothing_is_or_may_be(attempt: Attempt) -> None:
    assert fail(attempt, GOOD | {"dataset_url": "file://gone.csv"}).code == "not_found"
    assert fail(attempt, GOOD | {"dataset_url": "file:///etc/passwd"}).code == "file_refused"
    (attempt.file_roots[0] / "iris").write_text(shipped("iris"))
    assert fail(attempt, GOOD | {"dataset_url": "file://iris"}).code == "unknown_format"
    assert fail(attempt, ASKED | {"target_url": "file://out"}).code == "unknown_format"
    attempt.file_roots = []
    assert fail(attempt, GOOD).code == "file_refused"


@pytest.mark.processes
def test_a_process_that_dies_is_told(attempt: Attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowforge.steps.ml.process._BOOT", "import os; os.kill(os.getpid(), 11)")
    found = fail(attempt, GOOD)
    assert (found.code, found.retryable) == ("ml_error", True)
    assert "signal SIGSEGV" in found.message
    assert os.listdir(attempt.file_roots[0]) == ["iris.csv"]
