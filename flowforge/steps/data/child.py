"""A process of our own code that works on data: under the command rules, without a network, and with a request."""

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from flowforge.steps.base import Context
from flowforge.steps.data.failures import DataFailure
from flowforge.steps.process import Limits, run_process

MAX_RESULT_BYTES: Final = 1024 * 1024

_FOLDER: Final = str(Path(__file__).resolve().parents[3])  # in which `flowforge` is
_BOOT: Final = (
    "import sys; sys.path.append(sys.argv[1]); from importlib import import_module; import_module(sys.argv[2]).main()"
)
_RETRYABLE: Final = frozenset({"database_busy", "database_error"})


def run_child(
    context: Context, module: str, request: Mapping[str, Any], *, scratch: Path, sees_files: bool = False
) -> dict[str, Any]:
    """What `main` of a module answers to a request; what it prints is the step's log.

    It sees its scratch folder, and with `sees_files` the operator's file roots, as far as the isolation level goes.
    Raises DataFailure with the code that it answers, `engine_died` where it could not, and StepCancelled.
    """
    settings = context.settings
    isolation = replace(settings.isolation, network=settings.isolation.level == "limits")  # which has no other way
    confined = replace(settings, isolation=isolation, file_roots=settings.file_roots if sees_files else ())
    # -I: neither the working directory nor PYTHON… variables say what is imported; -u: logs come live
    done = run_process(
        [sys.executable, "-I", "-u", "-c", _BOOT, _FOLDER, module],
        context=replace(context, settings=confined),
        scratch=scratch,
        stdin=json.dumps(request).encode(),
        limits=Limits(memory_bytes=settings.process_memory_bytes, file_bytes=settings.max_data_bytes),
        max_result_bytes=MAX_RESULT_BYTES,
    )
    try:
        found: dict[str, Any] = json.loads(done.result or b"")
    except ValueError:
        message = f"The process that works on the data ended with {done.reason}."
        raise DataFailure("engine_died", message, retryable=True, details={"exit_code": done.exit_code}) from None
    if "code" in found:
        code = found["code"]
        raise DataFailure(code, found["message"], retryable=code in _RETRYABLE, details=found["details"])
    return found
