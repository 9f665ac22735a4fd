"""Predictions by a model that was stored: which datasets it takes, and what is written."""

import csv
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.support.datasets import as_csv, shipped
from tests.unit.steps.ml.conftest import Ask

ROWS = [[i, "red" if i % 2 else "blue", "yes" if i % 2 else "no"] for i in range(60)]
DATA = as_csv(["n", "colour", "target"], ROWS)


@pytest.fixture
def trained(train: Ask) -> dict[str, Any]:
    found: dict[str, Any] = train(DATA, algorithm="random_forest", hyperparameters={"n_estimators": 20})["output"]
    return found


def refusal(answer: dict[str, Any]) -> str:
    assert answer.get("code") == "invalid_data", answer
    message: str = answer["message"]
    return message


def test_it_works(trained: dict[str, Any], predict: Ask) -> None:
    found = predict(as_csv(["colour", "other", "n"], [["red", 1, 7], ["blue", 1, 8]]))["output"]
    assert found["predictions"] == ["yes", "no"]
    assert all(0.5 < one <= 1 for one in found["probabilities"])
    assert (found["rows"], found["is_truncated"], found["sha256"]) == (2, False, trained["sha256"])


def test_the_output_holds_no_more_than_it_may(trained: dict[str, Any], predict: Ask) -> None:
    found = predict(DATA, limit=3)["output"]
    assert (found["predictions"], len(found["probabilities"])) == (["no", "yes", "no"], 3)
    assert (found["rows"], found["is_truncated"]) == (60, True)
    assert predict(DATA, limit=60)["output"]["is_truncated"] is False


def test_all_of_them_are_written(trained: dict[str, Any], predict: Ask, tmp_path: Path) -> None:
    """The dataset as it was, row for row, and two more columns."""
    target = tmp_path / "predictions"
    for kind in ("csv", "ndjson", "json", "parquet"):
        target.unlink(missing_ok=True)
        answers = predict(DATA, target=kind)["output"]
        if kind == "csv":
            rows = list(csv.DictReader(target.read_text().splitlines()))
        elif kind == "parquet":
            found = duckdb.execute("FROM read_parquet(?)", [str(target)])
            names = [column[0] for column in found.description]
            rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        else:
            text = target.read_text()
            rows = json.loads(text) if kind == "json" else [json.loads(line) for line in text.splitlines()]
        assert list(rows[0]) == ["n", "colour", "target", "prediction", "probability"]
        assert [row["prediction"] for row in rows] == answers["predictions"] == [row[2] for row in ROWS]
        assert [float(row["probability"]) for row in rows] == answers["probabilities"]
        assert [int(row["n"]) for row in rows] == [row[0] for row in ROWS]


def test_a_regression_writes_numbers(train: Ask, predict: Ask, tmp_path: Path) -> None:
    train("diabetes", algorithm="ridge")
    found = predict("diabetes", target="csv", limit=5)["output"]
    rows = list(csv.DictReader((tmp_path / "predictions").read_text().splitlines()))
    assert len(rows) == 442
    assert [float(row["prediction"]) for row in rows[:5]] == found["predictions"]
    assert found["probabilities"] is None
    assert "probability" not in rows[0]


def test_it_rejects_a_dataset_without_its_columns(trained: dict[str, Any], predict: Ask) -> None:
    assert "lacks columns that the model needs: n" in refusal(predict("colour\nred\n"))
    assert "lacks columns that the model needs: n, colour" in refusal(predict("x\n1\n"))
    assert "the dataset is empty" in refusal(predict("n,colour\n"))


def test_it_rejects_a_column_that_is_something_else_now(trained: dict[str, Any], predict: Ask) -> None:
    message = refusal(predict(as_csv(["n", "colour"], [["many", "red"]])))
    assert message == "the column 'n' was a number when the model learned it, and is VARCHAR now"


def test_gaps_and_news_are_taken(trained: dict[str, Any], predict: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [[None, "red"], [None, None], [None, "green"]]
    assert predict(as_csv(["n", "colour"], rows))["output"]["rows"] == 3
    assert "values that the model has not learned: colour (2)" in capsys.readouterr().err


def test_numbers_may_be_codes(train: Ask, predict: Ask) -> None:
    """A text that happens to look like a number in the rows that are asked for."""
    rows = [[f"{i % 2}" if i else "x1", "odd" if i % 2 else "even"] for i in range(40)]
    train(as_csv(["code", "target"], rows), algorithm="decision_tree")
    assert predict("code\n1\n0\n")["output"]["predictions"] == ["odd", "even"]


def test_it_rejects_to_write_over_a_column(train: Ask, predict: Ask) -> None:
    train(shipped("iris").replace("petal length (cm)", "prediction"), algorithm="naive_bayes")
    data = shipped("iris").replace("petal length (cm)", "prediction")
    assert predict(data)["output"]["rows"] == 150
    assert "has a column prediction already" in refusal(predict(data, target="csv"))
