"""`python -I -u -c BOOT FOLDER`: one training, or one prediction, in a process of its own.

Standard input carries the request as JSON, with the paths of files in the step's own folder; what came of it goes as
JSON to the file descriptor FLOWFORGE_RESULT_FD: `{"output"}` or `{"code", "message", "retryable", "details"}`.
"""

import json
import os
import sys
import traceback
from collections.abc import Mapping
from typing import Any

import duckdb

from flowforge.steps.ml.runner.models import tell_warnings
from flowforge.steps.ml.runner.predicting import predict
from flowforge.steps.ml.runner.refusals import Refused, said_by
from flowforge.steps.ml.runner.saying import warn
from flowforge.steps.ml.runner.training import train


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """What came of a request; every failure is a value."""
    try:
        return {"output": train(request) if request["mode"] == "train" else predict(request)}
    except Refused as refused:
        return _failed(refused.code, refused.message, details=dict(refused.details))
    except (MemoryError, duckdb.OutOfMemoryException) as error:
        return _failed("out_of_memory", f"there is not enough memory for this dataset: {said_by(error)}")
    except Exception as error:  # noqa: BLE001  whatever a library raises: the step says it, and its log where
        warn(traceback.format_exc())
        return _failed("ml_error", f"{type(error).__name__}: {said_by(error)}", retryable=True)


def main() -> None:
    result_fd = int(os.environ.pop("FLOWFORGE_RESULT_FD"))
    os.set_inheritable(result_fd, False)
    request = json.load(sys.stdin)
    tell_warnings(warn)
    found = json.dumps(answer(request), allow_nan=False).encode()
    with os.fdopen(result_fd, "wb") as result:
        result.write(found)


def _failed(code: str, message: str, *, retryable: bool = False, details: Any = None) -> dict[str, Any]:
    return {"code": code, "message": message, "retryable": retryable, "details": details or {}}
