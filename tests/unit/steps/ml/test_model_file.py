"""What a model's file holds, and which files are refused as one."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from flowforge.steps.ml.algorithms import ALGORITHMS
from tests.unit.steps.ml.conftest import Ask

Members = dict[str, bytes]
Change = Callable[[Members], object]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.zip"


def members(path: Path) -> Members:
    with zipfile.ZipFile(path) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def repack(path: Path, found: Members) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in found.items():
            packed.writestr(name, content)


def vouch(found: Members, **card: Any) -> None:
    """What a forger does: the card's checksums are those of what lies there."""
    told = json.loads(found["card.json"]) | card
    told["files"] = {name: hashlib.sha256(found[name]).hexdigest() for name in found if not name.startswith("card.")}
    found["card.json"] = json.dumps(told).encode()


def refusal(answer: Mapping[str, Any]) -> str:
    assert "output" not in answer, answer
    assert (answer["code"], answer["retryable"]) == ("invalid_model", False), answer
    message: str = answer["message"]
    assert "\n" not in message
    return message


def test_it_works(train: Ask, path: Path, tmp_path: Path) -> None:
    """The card says how the model came about, in the file and beside it."""
    output = train("iris", algorithm="random_forest", hyperparameters={"n_estimators": 5}, seed=7)["output"]
    found = members(path)
    assert list(found) == ["card.json", "card.md", "preprocessing.json", "model.skops"]
    card = json.loads(found["card.json"])
    for name in ("algorithm", "task", "metrics", "features", "importances", "model_name"):
        assert card[name] == output[name]
    dataset = (tmp_path / "dataset").read_bytes()
    assert card["data"]["sha256"] == hashlib.sha256(dataset).hexdigest()
    assert card["data"]["bytes"] == len(dataset)
    assert (card["seed"], card["run_id"], card["hyperparameters"]) == (7, "run-1", {"n_estimators": 5})
    assert card["rows"] == {"total": 150, "with_target": 150, "train": 120, "watched": 0, "test": 30}
    assert set(card["libraries"]) == {"python", "numpy", "scikit-learn", "xgboost", "skops", "duckdb"}
    assert card["files"]["model.skops"] == hashlib.sha256(found["model.skops"]).hexdigest()
    assert output["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (tmp_path / "card.md").read_bytes() == found["card.md"]
    readable = found["card.md"].decode()
    assert f"| accuracy | {output['metrics']['accuracy']:.4g} | " in readable
    assert "| n_estimators | 5 |" in readable.replace("\\_", "_")


def test_a_boosted_model_is_the_same_file_each_time(train: Ask, tmp_path: Path) -> None:
    for name in ("first.zip", "second.zip"):
        train("iris", hyperparameters={"subsample": 0.5}, into=name)
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()
    json.loads(members(tmp_path / "first.zip")["model.json"])


@pytest.mark.parametrize("name", ALGORITHMS)
def test_no_model_is_a_pickle(train: Ask, path: Path, name: str) -> None:
    train("iris" if "classification" in ALGORITHMS[name].tasks else "diabetes", algorithm=name)
    found = members(path)
    for content in (found.get("model.skops"), found.get("model.json")):
        if content is not None:
            assert not content.startswith(b"\x80")
    if "model.skops" in found:
        with zipfile.ZipFile(io.BytesIO(found["model.skops"])) as packed:
            assert {Path(name).suffix for name in packed.namelist()} <= {".json", ".npy", ".npz"}


@pytest.mark.parametrize("metric", ["minkowski", "euclidean", "manhattan", "chebyshev"])
@pytest.mark.parametrize("tree", ["kd_tree", "ball_tree", "brute"])
def test_whatever_can_be_trained_can_be_read(train: Ask, predict: Ask, tree: str, metric: str) -> None:
    train("iris", algorithm="k_neighbors", hyperparameters={"algorithm": tree, "metric": metric, "p": 3})
    assert predict("iris")["output"]["rows"] == 150


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile"])
def test_whatever_its_loss_it_can_be_read(train: Ask, predict: Ask, loss: str) -> None:
    train("diabetes", algorithm="gradient_boosting", hyperparameters={"loss": loss, "n_estimators": 3})
    assert predict("diabetes")["output"]["rows"] == 442
    if loss != "huber":
        train("diabetes", algorithm="hist_gradient_boosting", hyperparameters={"loss": loss, **_quantile(loss)})
        assert predict("diabetes")["output"]["rows"] == 442


def _quantile(loss: str) -> dict[str, float]:
    return {"quantile": 0.5} if loss == "quantile" else {}


def test_it_rejects_what_is_no_zip(predict: Ask, path: Path) -> None:
    for content in (b"", b"\x80\x04K\x01.", b"PK\x03\x04 and more"):
        path.write_bytes(content)
        assert "no model, or is damaged" in refusal(predict("iris"))


def test_it_rejects_every_damaged_byte(train: Ask, predict: Ask, path: Path) -> None:
    """Somewhere in each member, and in the directory of the zip."""
    train("iris", algorithm="decision_tree")
    whole = path.read_bytes()
    for place in range(30, len(whole), len(whole) // 12):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        answer = predict("iris")
        assert answer.get("code", "invalid_model") == "invalid_model", (place, answer)
        if "output" in answer:  # a byte of a time or a comment: nothing that the model is made of
            path.write_bytes(whole)
            assert answer["output"]["predictions"] == predict("iris")["output"]["predictions"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: found.update({"preprocessing.json": b"[]"}), "checksums are not those of its card"),
        (lambda found: found.update({"model.json": found["model.json"] + b" "}), "checksums"),
        (lambda found: found.pop("model.json"), "holds other files"),
        (lambda found: found.update({"../../evil": b"x"}), "holds other files"),
        (lambda found: found.pop("card.json"), "no model of ours"),
        (lambda found: found.update({"card.json": b"[" * 100_000}), "the file is no model"),
        (lambda found: found.update({"card.json": b'{"format": "other/1"}'}), "not of the format flowforge-model/1"),
        (lambda found: found.update({"card.json": b'{"format": "flowforge-model/1"}'}), "no model of ours"),
        (lambda found: vouch(found, algorithm="random_forest"), "holds other files"),
        (lambda found: vouch(found, algorithm="gpt"), "no model of ours"),
        (lambda found: vouch(found, task="regression", algorithm="naive_bayes"), "no model of ours"),
        (lambda found: vouch(found, target={"name": "t", "classes": ["a"]}), "no model of ours"),
        (lambda found: vouch(found, target={"name": "t", "classes": ["a", "b", "c", "d"]}), "3 classes apart"),
        (lambda found: (found.update({"preprocessing.json": b"[]"}), vouch(found)), "its preprocessing gives 0"),
        (lambda found: (found.update({"preprocessing.json": b'[{"name": 1}]'}), vouch(found)), "preprocessing is none"),
        (lambda found: (found.update({"model.json": b"{}"}), vouch(found)), "the model cannot be read"),
    ],
)  # fmt: skip
def test_it_rejects_what_was_tampered_with(train: Ask, predict: Ask, path: Path, change: Change, message: str) -> None:
    train("iris", hyperparameters={"n_estimators": 2})
    found = members(path)
    change(found)
    repack(path, found)
    assert message in refusal(predict("iris"))


def test_it_rejects_types_that_no_model_of_ours_has(train: Ask, predict: Ask, path: Path, tmp_path: Path) -> None:
    """A forger who knows how the file is made gets no function called, and no other estimator in."""
    train("diabetes", algorithm="linear_regression")
    found = members(path)
    numbers = np.arange(10.0).reshape(-1, 1)
    evil = make_pipeline(FunctionTransformer(exec), LinearRegression())
    other = make_pipeline(LinearRegression()).fit(numbers, numbers)
    for model, message in ((evil, "holds what no model of ours does"), (other, "is a Pipeline, not a Linear")):
        found["model.skops"] = skops.io.dumps(model)
        vouch(found)
        repack(path, found)
        assert message in refusal(predict("diabetes"))


def test_it_rejects_bombs(train: Ask, predict: Ask, path: Path) -> None:
    train("iris", hyperparameters={"n_estimators": 2})
    found = members(path)
    repack(path, found | {"card.json": b" " * (17 * 1024**2)})
    assert "card.json has over 16777216 bytes" in refusal(predict("iris"))
    repack(path, found)
    size = len(found["model.json"]).to_bytes(4, "little")
    whole = path.read_bytes()
    directory = whole.rindex(b"PK\x01\x02")  # of the last member, which is the model
    path.write_bytes(whole[:directory] + whole[directory:].replace(size, (2 * 1024**3).to_bytes(4, "little")))
    assert "the model has over 1073741824 bytes" in refusal(predict("iris"))


def test_it_rejects_another_model_than_the_one_asked_for(train: Ask, predict: Ask) -> None:
    sha256 = train("iris")["output"]["sha256"]
    assert predict("iris", sha256=sha256)["output"]["sha256"] == sha256
    assert "not the one that is asked for" in refusal(predict("iris", sha256="0" * 64))
