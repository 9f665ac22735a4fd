"""Models of real data by every algorithm: what they measure, and what is refused."""

import gzip
import math
import random
from pathlib import Path
from typing import Any

import duckdb
import pytest
import xgboost

from flowforge.steps.ml.algorithms import ALGORITHMS
from flowforge.steps.ml.runner.table import Table
from tests.support.datasets import as_csv, shipped
from tests.unit.steps.ml.conftest import Ask

OF_TASK = {"classification": "iris", "regression": "diabetes"}
PAIRS = [(name, task) for name, one in ALGORITHMS.items() for task in one.tasks]


def refusal(answer: dict[str, Any]) -> tuple[str, str]:
    assert "output" not in answer
    assert answer["retryable"] is False, answer
    return answer["code"], answer["message"]


def table(rows: int = 40, **columns: Any) -> str:
    """A csv of `a`, the target, and columns that are functions of the row's number."""
    made = {"a": lambda i: i, **columns, "target": columns.get("target", lambda i: "yes" if i % 2 else "no")}
    return as_csv(list(made), [[make(i) for make in made.values()] for i in range(rows)])


@pytest.mark.parametrize(("algorithm", "task"), PAIRS)
def test_it_works(train: Ask, predict: Ask, algorithm: str, task: str) -> None:
    """Better than the baseline on rows that it has not seen, and the same when it is read again."""
    found = train(OF_TASK[task], algorithm=algorithm)["output"]
    metrics, baseline = found["metrics"], found["metrics"]["baseline"]
    assert (found["task"], found["rows"], found["rows_train"] + found["rows_test"]) == (
        task,
        *((150, 150) if task == "classification" else (442, 442)),
    )
    if task == "classification":
        assert metrics["accuracy"] > 0.9 > baseline["accuracy"]
        assert metrics["log_loss"] < 1.3
        assert metrics["roc_auc"] > 0.97
        assert baseline["roc_auc"] == 0.5
        matrix = metrics["confusion_matrix"]["matrix"]
        assert sum(matrix[i][i] for i in range(3)) / sum(map(sum, matrix)) == pytest.approx(metrics["accuracy"])
    elif algorithm != "decision_tree":  # a full one learns the noise of this data set by heart
        assert metrics["rmse"] < 0.95 * baseline["rmse"]
        assert metrics["mae"] < baseline["mae"]
        assert metrics["r2"] > 0.1 > baseline["r2"]
    again = predict(OF_TASK[task])["output"]
    assert again["rows"] == len(again["predictions"]) == found["rows"]
    assert again["sha256"] == found["sha256"]


def test_its_measures_are_those_of_the_predictions(train: Ask, predict: Ask) -> None:
    """By hand, on a data set whose test rows are the ones that were learned from, too."""
    rows = [[i % 7, i % 5, 3 * (i % 7) - 2 * (i % 5)] for i in range(35)] * 4
    found = train(as_csv(["a", "b", "target"], rows), algorithm="linear_regression", test_size=0.5)["output"]
    assert found["metrics"]["rmse"] == pytest.approx(0, abs=1e-9)
    assert found["metrics"]["r2"] == pytest.approx(1)
    answers = predict(as_csv(["b", "a"], [[1, 10], [2, 20]]))["output"]["predictions"]
    assert answers == pytest.approx([28, 56])
    (first, second) = found["importances"]
    assert (first["feature"], second["feature"]) == ("a", "b")
    assert first["importance"] + second["importance"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("target", "algorithm", "task"),
    [
        (lambda i: ["x", "y"][i % 2], "xgboost", "classification"),
        (lambda i: ["true", "false"][i % 2], "xgboost", "classification"),
        (lambda i: i % 3, "xgboost", "classification"),
        (lambda i: i, "xgboost", "regression"),
        (lambda i: i % 3 + 0.5, "xgboost", "regression"),
        (lambda i: i % 3, "ridge", "regression"),
        (lambda i: i % 3 + 0.5, "naive_bayes", "classification"),
    ],
)
def test_the_task_is_what_the_target_looks_like(train: Ask, target: Any, algorithm: str, task: str) -> None:
    assert train(table(target=target), algorithm=algorithm)["output"]["task"] == task


def test_classes_keep_their_type(train: Ask, predict: Ask) -> None:
    for make, labels in [
        (lambda i: ["true", "false"][i % 2], {True, False}),
        (lambda i: i % 2 + 3, {3, 4}),
        (lambda i: "ab"[i % 2], {"a", "b"}),
    ]:
        data = table(target=make, b=lambda i: i % 2)
        train(data, algorithm="decision_tree")
        found = predict(data)["output"]["predictions"]
        assert set(found) == labels
        assert all(type(one) in {type(label) for label in labels} for one in found)


@pytest.mark.parametrize(
    ("data", "config", "message"),
    [
        ("", {}, "the dataset"),
        ("a,target\n", {}, "the dataset is empty"),
        (table(9), {}, "only 9 rows have a target"),
        (table(), {"target": "goal"}, "no column 'goal', which is the target"),
        (table(), {"features": ["a", "b"]}, "no column b"),
        (table(), {"exclude": ["a"]}, "no column is left beside the target"),
        (table(target=lambda i: "yes"), {}, "single class"),
        (table(target=lambda i: None), {}, "no value in any row"),
        (table(300, target=lambda i: f"x{i}"), {}, "300 different values, more than 100 classes"),
        (table(target=lambda i: "odd" if i == 3 else "even"), {}, "the class 'odd' of the target has one row"),
        (table(target=lambda i: 2.5), {}, "the same value in every row"),
        (table(target=lambda i: f"2024-01-{i % 28 + 1:02}"), {}, "is a date"),
        (table(target=lambda i: "x" if i % 2 else "y"), {"task": "regression"}, "a regression needs numbers"),
        (table(a=lambda i: 1), {}, "no column beside the target is of use"),
        (table(b=lambda i: 1), {"features": ["a", "b"]}, "the feature 'b' has the same value everywhere"),
        (table(b=lambda i: "12:00:00"), {"features": ["b"]}, "the feature 'b' is a time, not a number"),
        (table(b=lambda i: 10.0**40 * i), {}, "the column 'b' has numbers beyond 3.4e+38"),
        (table(12, target=lambda i: i % 5), {"test_size": 0.1}, "too few rows"),
        (table(target=lambda i: int(i < 4)), {"cross_validation": 5}, "too few rows for 5 folds"),
    ],
)  # fmt: skip
def test_it_rejects_data_of_which_nothing_can_be_learned(
    train: Ask, data: str, config: dict[str, Any], message: str
) -> None:
    code, said = refusal(train(data, **config))
    assert code == "invalid_data"
    assert message in said


def test_it_rejects_what_is_no_table(train: Ask, tmp_path: Path) -> None:
    for kind in ("json", "ndjson", "parquet"):
        code, said = refusal(train("a,b\n1,2\n", format=kind))
        assert (code, f"cannot be read as {kind}" in said) == ("invalid_data", True)
        assert str(tmp_path) not in said


@pytest.mark.parametrize(
    ("algorithm", "given", "message"),
    [
        (
            "random_forest",
            {"criterion": "squared_error"},
            "hyperparameters.criterion of random_forest (classification)",
        ),
        ("logistic_regression", {"solver": "lbfgs", "l1_ratio": 0.5}, "logistic_regression refuses what it was given"),
        ("k_neighbors", {"n_neighbors": 500}, "k_neighbors refuses what it was given"),
        ("xgboost", {"max_leaf_nodes": 3}, "hyperparameters.max_leaf_nodes of xgboost"),
        ("xgboost", {"max_depth": 0, "tree_method": "exact"}, "xgboost refuses what it was given"),
    ],
)
def test_it_rejects_values_that_do_not_go_together(
    train: Ask, algorithm: str, given: dict[str, Any], message: str
) -> None:
    code, said = refusal(train("iris", algorithm=algorithm, hyperparameters=given))
    assert code == "invalid_hyperparameters"
    assert message in said
    assert "\n" not in said


@pytest.mark.parametrize("algorithm", ["linear_regression", "ridge", "lasso", "elastic_net"])
def test_it_rejects_classes_for_who_predicts_numbers(train: Ask, algorithm: str) -> None:
    assert refusal(train("iris", algorithm=algorithm))[0] == "algorithm_mismatch"
    assert refusal(train("diabetes", algorithm="logistic_regression", task="regression"))[0] == "algorithm_mismatch"


def test_columns_of_every_kind_are_learned_from(train: Ask, predict: Ask) -> None:
    """Each of them alone decides the target; all of them have gaps."""
    chance = random.Random(1)
    decided = [chance.random() < 0.5 for _ in range(200)]
    makers = {
        "number": lambda i: 5 if decided[i] else -5,
        "boolean": lambda i: decided[i],
        "date": lambda i: "2024-05-01" if decided[i] else "2023-01-01",
        "moment": lambda i: "2024-05-01 10:00:00" if decided[i] else "2023-01-01 23:59:59",
        "text": lambda i: "red" if decided[i] else "blue",
    }
    for kind, make in makers.items():
        rows = [[make(i) if i % 20 else None, chance.random(), "yes" if decided[i] else "no"] for i in range(200)]
        for algorithm in ("xgboost", "logistic_regression", "k_neighbors"):
            found = train(as_csv([kind, "noise", "target"], rows), algorithm=algorithm)["output"]
            assert found["metrics"]["accuracy"] > 0.85, (kind, algorithm)
        assert predict(as_csv([kind, "noise"], [[make(1), 0.5]]))["output"]["predictions"] == [
            "yes" if decided[1] else "no"
        ]


def test_what_is_of_no_use_is_left_out_and_said(train: Ask) -> None:
    data = table(b=lambda i: None, c=lambda i: 7, d=lambda i: "12:00:00", key=lambda i: f"k{i}")
    found = train(data, max_categories=10)["output"]
    assert found["features"] == ["a"]
    assert {one["column"]: one["reason"] for one in found["left_out"]} == {
        "b": "has no value",
        "c": "has the same value everywhere",
        "d": "is a time, not a number, boolean, date or text",
        "key": "is a text that is another in every row",
    }


def test_text_becomes_no_more_columns_than_it_may(train: Ask, predict: Ask) -> None:
    data = table(400, b=lambda i: f"v{i % 40 if i % 3 else 0}")
    found = train(data, max_categories=5, algorithm="random_forest")["output"]
    assert found["features"] == ["a", "b"]
    answer = predict(as_csv(["a", "b"], [[1, "never seen"], [2, None]]))["output"]
    assert len(answer["predictions"]) == 2


def test_features_and_exclude_choose_columns(train: Ask) -> None:
    iris = "petal length (cm)", "petal width (cm)"
    assert train("iris", features=list(iris))["output"]["features"] == list(iris)
    assert train("iris", exclude=list(iris))["output"]["features"] == ["sepal length (cm)", "sepal width (cm)"]


def test_folds_are_measured(train: Ask) -> None:
    found = train("iris", algorithm="naive_bayes", cross_validation=5)["output"]["metrics"]["cross_validation"]
    assert found["folds"] == 5
    assert 0.9 < found["accuracy"]["mean"] <= 1
    assert 0 < found["accuracy"]["std"] < 0.1
    over = train("diabetes", algorithm="ridge", cross_validation=3)["output"]["metrics"]["cross_validation"]
    assert 50 < over["rmse"]["mean"] < 65


def test_a_training_stops_where_it_gets_no_better(train: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    given = {"n_estimators": 5000, "early_stopping_rounds": 5}
    found = train("breast_cancer", hyperparameters=given)["output"]
    assert found["metrics"]["accuracy"] > 0.9
    said = capsys.readouterr().out
    assert "training xgboost (classification) on 455 rows, testing on 114" in said
    assert "round 5000" not in said


def test_rounds_are_told(train: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    train("iris", hyperparameters={"n_estimators": 40})
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("round ")]
    assert len(lines) == 20
    assert lines[-1].startswith("round 40 of 40: train mlogloss 0.")


def test_the_same_seed_gives_the_same_model(train: Ask, predict: Ask) -> None:
    for algorithm in ("xgboost", "random_forest", "hist_gradient_boosting"):
        given = {"subsample": 0.7} if algorithm == "xgboost" else {}
        answers = []
        for seed in (3, 3, 4):
            found = train("diabetes", algorithm=algorithm, seed=seed, hyperparameters=given)["output"]
            answers.append((found["metrics"], found["importances"], predict("diabetes")["output"]["predictions"]))
        assert answers[0] == answers[1] != answers[2]


def test_a_column_may_be_called_anything(train: Ask, predict: Ask) -> None:
    rows = [[i, i % 2, "no" if i % 2 else "yes"] for i in range(40)]
    names = ["a;'\"--", "b \n{{ x }}", 'tar"get|`']
    found = train(as_csv(names, rows), target=names[2], algorithm="decision_tree")["output"]
    assert found["features"] == names[:2]
    assert predict(as_csv(names[:2], [[5, 1]]))["output"]["predictions"] == ["no"]


def test_every_number_of_the_output_is_one(train: Ask) -> None:
    """Where a measure is not defined, there is none: nothing that JSON does not have."""
    found = train(table(12, target=lambda i: i % 3), test_size=0.3)["output"]["metrics"]
    assert all(value is None or math.isfinite(value) for value in found.values() if not isinstance(value, dict))


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("flowforge.steps.ml.runner.models.xgboost.train", xgboost.core.XGBoostError("std::bad_alloc")),
        ("flowforge.steps.ml.runner.models.xgboost.train", MemoryError()),
        ("flowforge.steps.ml.runner.table.duckdb.connect", duckdb.OutOfMemoryException("Allocation failure")),
    ],
)
def test_it_rejects_what_is_too_large_for_its_memory(
    train: Ask, monkeypatch: pytest.MonkeyPatch, place: str, error: Exception
) -> None:
    """However the libraries say it."""

    def full(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(place, full)
    assert refusal(train("iris"))[0] == "out_of_memory"


def test_packed_tables_are_read(tmp_path: Path) -> None:
    path = tmp_path / "dataset"
    path.write_bytes(gzip.compress(shipped("iris").encode()))
    assert Table(path, "csv").rows == 150


def test_json_is_read_too(train: Ask) -> None:
    lines = [f'{{"a": {i}, "target": "{"xy"[i % 2]}"}}' for i in range(30)]
    assert train("\n".join(lines), format="ndjson")["output"]["rows"] == 30
    assert train(f"[{','.join(lines)}]\n", format="json")["output"]["rows"] == 30
