"""The process that trains and predicts, seen from outside: how it is started, and what its answer means."""

import json as stdlib_json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from flowforge.core import json
from flowforge.core.json import Json
from flowforge.steps.base import Context, Failed
from flowforge.steps.process import Limits, ProcessResult, run_process

MAX_RESULT_BYTES: Final = 1024 * 1024  # no step keeps a larger output

_FOLDER: Final = os.fspath(Path(__file__).resolve().parents[3])  # in which `flowforge` is
_BOOT: Final = (  # `-I` does not know this folder; the libraries are installed beside the worker
    "import sys; sys.path.append(sys.argv.pop(1)); from flowforge.steps.ml.runner.main import main; main()"
)
_ONE_THREAD: Final = {  # a sum over threads is not the same twice, and a worker runs several steps side by side
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JOBLIB_MULTIPROCESSING": "0",
}


def ask(context: Context, request: Mapping[str, Json], scratch: Path) -> dict[str, Any] | Failed:
    """The output of a request, whose files all lie in `scratch`. Raises as run_process."""
    result = run_process(
        [sys.executable, "-I", "-u", "-c", _BOOT, _FOLDER],
        context=_alone(context),
        scratch=scratch,
        environment=_ONE_THREAD,
        stdin=json.dumps(request),
        limits=Limits(memory_bytes=context.settings.process_memory_bytes),
        max_result_bytes=MAX_RESULT_BYTES,
    )
    return _answer(result)


def _alone(context: Context) -> Context:
    """It needs its folder and nothing else: no file root, and no network where that can be had.

    A model that is read may come from anybody.
    """
    isolation = context.settings.isolation
    apart = replace(isolation, network=isolation.network and isolation.level == "limits")
    return replace(context, settings=replace(context.settings, file_roots=(), isolation=apart))


def _answer(result: ProcessResult) -> dict[str, Any] | Failed:
    if result.result is None:
        message = f"the output has over {MAX_RESULT_BYTES} bytes"
        return Failed(code="invalid_output", message=message, retryable=False)
    try:
        found = stdlib_json.loads(result.result)
    except ValueError:
        message = f"the process ended with {result.reason} before it had an answer"
        return Failed(code="ml_error", message=message, details={"exit_code": result.exit_code})
    if "output" in found:
        output: dict[str, Any] = found["output"]
        return output
    return Failed(code=found["code"], message=found["message"], retryable=found["retryable"], details=found["details"])
