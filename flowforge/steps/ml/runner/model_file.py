"""A model as one file: a zip with the model, its preprocessing and its card, which has the checksums of the others."""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from flowforge.steps.ml.algorithms import ALGORITHMS, CLASSIFICATION
from flowforge.steps.ml.runner import columns, models
from flowforge.steps.ml.runner.columns import Column
from flowforge.steps.ml.runner.models import MAX_MODEL_BYTES, Model, Shape
from flowforge.steps.ml.runner.refusals import InvalidModel, said_by

FORMAT: Final = "flowforge-model/1"
CARD: Final = "card.json"
READABLE: Final = "card.md"
PREPROCESSING: Final = "preprocessing.json"

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the zero of zip: the file says nothing of when, its card does
_MAX_BYTES: Final = {CARD: 16 * 1024**2, READABLE: 16 * 1024**2, PREPROCESSING: 256 * 1024**2}
_CHUNK: Final = 1024**2


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """A model that was read, and found to be whole."""

    card: Mapping[str, Any]
    columns: list[Column]
    shape: Shape
    model: Model


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(path: Path, *, model: Model, preprocessing: bytes, card: Mapping[str, Any], readable: str) -> None:
    """Put it together, of what `members` has dumped beside it; `card["files"]` is what that gave."""
    with zipfile.ZipFile(path, "w") as packed:
        _add(packed, CARD, json.dumps(card, indent=2, allow_nan=False, ensure_ascii=False).encode())
        _add(packed, READABLE, readable.encode())
        _add(packed, PREPROCESSING, preprocessing)
        with (path.parent / model.file_name).open("rb") as source, packed.open(_info(model.file_name), "w") as target:
            while chunk := source.read(_CHUNK):
                target.write(chunk)


def members(*, model: Model, preprocessing: bytes, folder: Path) -> dict[str, str]:
    """Dump the model into the folder; the checksum of each member that a card vouches for."""
    model.dump(folder / model.file_name)
    found = {model.file_name: digest_of(folder / model.file_name)}
    return {PREPROCESSING: hashlib.sha256(preprocessing).hexdigest(), **found}


def read(path: Path, folder: Path) -> Opened:
    """Open a model, unpacked into the folder. Raises InvalidModel on what is none, is damaged or was changed."""
    try:
        with zipfile.ZipFile(path) as packed:
            card = _card(packed)
            shape, file_name = _described(card)
            _check_members(packed, file_name)
            preprocessing = _bytes(packed, PREPROCESSING)
            _unpack(packed, file_name, folder / file_name)
        found = {
            PREPROCESSING: hashlib.sha256(preprocessing).hexdigest(),
            file_name: digest_of(folder / file_name),
        }
        if card["files"] != found:
            raise InvalidModel("the model was changed: its checksums are not those of its card")
        known = columns.restored(json.loads(preprocessing))
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, OSError) as error:
        raise InvalidModel(f"the file is no model, or is damaged: {said_by(error)}") from None
    except (LookupError, ValueError, TypeError, RecursionError) as error:
        raise InvalidModel(f"the file is no model of ours: {said_by(error)}") from None
    width = sum(column.width for column in known)
    whole = Shape(algorithm=shape.algorithm, task=shape.task, classes=shape.classes, width=width)
    return Opened(card=card, columns=known, shape=whole, model=models.loaded(whole, folder / file_name))


def _info(name: str) -> zipfile.ZipInfo:
    found = zipfile.ZipInfo(name, _EPOCH)
    found.compress_type = zipfile.ZIP_DEFLATED
    found.external_attr = 0o600 << 16
    return found


def _add(packed: zipfile.ZipFile, name: str, content: bytes) -> None:
    packed.writestr(_info(name), content)


def _card(packed: zipfile.ZipFile) -> dict[str, Any]:
    found = json.loads(_bytes(packed, CARD))
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise InvalidModel(f"the file is no model of ours: its card is not of the format {FORMAT}")
    return found


def _described(card: Mapping[str, Any]) -> tuple[Shape, str]:
    """What the card says that the model is; LookupError and TypeError where it says nothing of the kind."""
    algorithm, task = ALGORITHMS[card["algorithm"]], card["task"]
    algorithm.class_for(task)
    classes = card["target"]["classes"] if task == CLASSIFICATION else []
    if task == CLASSIFICATION and len(classes) < 2:
        raise ValueError("a classification with less than two classes")
    shape = Shape(algorithm=algorithm, task=task, classes=len(classes), width=0)
    return shape, models.Boosted.file_name if algorithm.name == "xgboost" else models.Estimator.file_name


def _check_members(packed: zipfile.ZipFile, file_name: str) -> None:
    names = sorted(packed.namelist())
    if names != sorted([CARD, READABLE, PREPROCESSING, file_name]):
        raise InvalidModel("the file is no model of ours: it holds other files than a model does")


def _bytes(packed: zipfile.ZipFile, name: str) -> bytes:
    """A small member, whole."""
    if packed.getinfo(name).file_size > _MAX_BYTES[name]:
        raise InvalidModel(f"{name} has over {_MAX_BYTES[name]} bytes")
    return packed.read(name)  # never more than file_size says: the rest is a wrong checksum


def _unpack(packed: zipfile.ZipFile, name: str, path: Path) -> None:
    if packed.getinfo(name).file_size > MAX_MODEL_BYTES:
        raise InvalidModel(f"the model has over {MAX_MODEL_BYTES} bytes")
    with packed.open(name) as source, path.open("wb") as target:
        while chunk := source.read(_CHUNK):
            target.write(chunk)
