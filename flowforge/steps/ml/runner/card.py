"""A model's card: how it came about, for programs (JSON) and for people (Markdown)."""

import platform
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, Final

import duckdb
import numpy
import sklearn
import skops
import xgboost

_LIBRARIES: Final[Mapping[str, ModuleType]] = {
    "numpy": numpy,
    "scikit-learn": sklearn,
    "xgboost": xgboost,
    "skops": skops,
    "duckdb": duckdb,
}
_MAX_LISTED: Final = 50


def libraries() -> dict[str, str]:
    """Versions of what a model is made with, by name."""
    return {
        "python": platform.python_version(),
        **{name: str(module.__version__) for name, module in _LIBRARIES.items()},
    }


def readable(card: Mapping[str, Any]) -> str:
    """The card as Markdown."""
    return "\n".join([*_head(card), *_measures(card), *_features(card), *_origin(card)]) + "\n"


def _head(card: Mapping[str, Any]) -> Iterator[str]:
    rows = card["rows"]
    yield f"# {_plain(card['model_name'])}"
    yield ""
    yield f"Predicts `{_code(card['target']['name'])}` ({card['task']}) by `{card['algorithm']}`."
    yield ""
    yield f"Trained on {rows['train']} rows, measured on {rows['test']} that it had not seen; seed {card['seed']}."
    classes = card["target"]["classes"]
    if classes:
        yield ""
        yield f"Classes: {_list([str(label) for label in classes])}."


def _measures(card: Mapping[str, Any]) -> Iterator[str]:
    measured = card["metrics"]
    crossed = measured.get("cross_validation") or {}
    yield from ("", "## How good it is", "", "| measure | model | baseline | cross-validation |", "|---|---|---|---|")
    for name, guessed in measured["baseline"].items():
        over_folds = crossed.get(name)
        spread = f"{over_folds['mean']:.4g} ± {over_folds['std']:.2g}" if over_folds else ""
        yield f"| {name} | {_number(measured[name])} | {_number(guessed)} | {spread} |"
    yield ""
    yield "The baseline knows the target of the training rows alone: their most frequent class, or their mean."


def _features(card: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", "## Features", "")
    if card["importances"] is None:
        yield _list(card["features"])
    else:
        yield from ("| feature | importance |", "|---|---|")
        for one in card["importances"][:_MAX_LISTED]:
            yield f"| {_plain(one['feature'])} | {one['importance']:.4f} |"
    for one in card["left_out"][:_MAX_LISTED]:
        yield f"\nLeft out: `{_code(one['column'])}`, which {_plain(one['reason'])}."


def _origin(card: Mapping[str, Any]) -> Iterator[str]:
    data = card["data"]
    yield from ("", "## How it came about", "", "| | |", "|---|---|")
    yield f"| dataset | {_plain(data['location'])} |"
    yield f"| SHA-256 of the dataset | {data['sha256']} |"
    yield f"| rows of the dataset | {card['rows']['total']} |"
    for name, value in card["hyperparameters"].items():
        yield f"| {name} | {_plain(value)} |"
    for name in ("run_id", "step_id", "created_at"):
        yield f"| {name} | {_plain(card[name])} |"
    for name, found in card["libraries"].items():
        yield f"| {name} | {found} |"


def _list(names: Sequence[str]) -> str:
    rest = len(names) - _MAX_LISTED
    listed = ", ".join(f"`{_code(name)}`" for name in names[:_MAX_LISTED])
    return f"{listed} and {rest} more" if rest > 0 else listed


def _number(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.4g}"


def _plain(value: object) -> str:
    """In a line and a cell of its own, whatever it is: names come from the dataset."""
    text = " ".join(str(value).split())
    return "".join(f"\\{character}" if character in "|`<>[]*_\\" else character for character in text)


def _code(value: object) -> str:
    """Between backticks, where nothing else means anything."""
    return " ".join(str(value).split()).replace("`", "'").replace("|", "\\|")
