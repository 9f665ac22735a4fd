"""The process that trains, without a process: its libraries are loaded once, and a request is a call."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from threadpoolctl import threadpool_limits

from flowforge.steps.ml.runner.main import answer
from tests.support.datasets import shipped

Ask = Callable[..., dict[str, Any]]
DEFAULTS = {
    "model_name": "m",
    "target": "target",
    "algorithm": "xgboost",
    "hyperparameters": {},
    "seed": 0,
    "test_size": 0.2,
    "max_categories": 50,
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """As in the process of its own; threads that wait for each other would also be slow where the cores are taken."""
    with threadpool_limits(1):
        yield


@pytest.fixture
def train(tmp_path: Path) -> Ask:
    """`train("iris", algorithm=…)`, or with the text of a csv: the answer of the process."""

    def run(data: str, *, format: str = "csv", into: str = "model.zip", **config: Any) -> dict[str, Any]:
        dataset = tmp_path / "dataset"
        dataset.write_text(data if "\n" in data or not data else shipped(data))
        request = {
            "mode": "train",
            "dataset": str(dataset),
            "format": format,
            "location": "file:///dataset",
            "model_path": str(tmp_path / into),
            "card_path": str(tmp_path / "card.md"),
            "identity": {"run_id": "run-1", "step_id": "node-1", "index": None, "attempt": 1, "created_at": "now"},
            "config": DEFAULTS | config,
        }
        return answer(request)

    return run


@pytest.fixture
def predict(tmp_path: Path) -> Ask:
    """`predict("iris")`: by the model that was trained last; `target="csv"` writes `predictions`."""

    def run(
        data: str, *, model: str = "model.zip", sha256: str | None = None, target: str | None = None, limit: int = 9999
    ) -> dict[str, Any]:
        dataset = tmp_path / "asked"
        dataset.write_text(data if "\n" in data else shipped(data))
        request = {
            "mode": "predict",
            "dataset": str(dataset),
            "format": "csv",
            "model": str(tmp_path / model),
            "sha256": sha256,
            "target_path": str(tmp_path / "predictions") if target else None,
            "target_format": target,
            "limit": limit,
        }
        return answer(request)

    return run
