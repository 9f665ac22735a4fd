"""Runs the code of a `python` step: `python -I -u python_runner.py`, in a process of its own.

Standard input carries `{"code", "inputs"}`; what `main(**inputs)` returns goes as JSON to the file descriptor
FLOWFORGE_RESULT_FD, `{"output"}` or `{"code", "message", "line"}`; what is printed is the log. Standard library only.
"""

import json
import linecache
import os
import sys
import traceback
from typing import Any, Final

FILENAME: Final = "<code>"


def run(code: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """`{"output": …}`, or what went wrong: `{"code", "message", "line"}`."""
    linecache.cache[FILENAME] = (len(code), None, code.splitlines(keepends=True), FILENAME)  # for tracebacks
    namespace: dict[str, Any] = {"__name__": "step"}
    try:
        exec(compile(code, FILENAME, "exec"), namespace)  # noqa: S102  what this process is for
        output = namespace["main"](**inputs)
    except BaseException as error:  # noqa: BLE001  SystemExit too: the step has not returned
        _print_traceback(error)
        return {"code": "python_error", "message": _describe(error), "line": _line(error)}
    try:
        json.dumps(output)
    except (TypeError, ValueError, RecursionError) as error:
        return {"code": "invalid_output", "message": f"main() did not return JSON: {error}", "line": None}
    return {"output": output}


def _describe(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error)).strip()


def _own_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """The frames from the user's code on."""
    frames = traceback.extract_tb(error.__traceback__)
    first = next((place for place, frame in enumerate(frames) if frame.filename == FILENAME), len(frames))
    return frames[first:]


def _line(error: BaseException) -> int | None:
    """The innermost line of the user's own code."""
    lines = [frame.lineno for frame in _own_frames(error) if frame.filename == FILENAME]
    return lines[-1] if lines else None


def _print_traceback(error: BaseException) -> None:
    frames = _own_frames(error)
    text = "Traceback (most recent call last):\n" + "".join(traceback.format_list(frames)) if frames else ""
    print(text + _describe(error), file=sys.stderr)  # noqa: T201  standard error is the step's log


def main() -> None:
    result_fd = int(os.environ.pop("FLOWFORGE_RESULT_FD"))
    os.set_inheritable(result_fd, False)
    request = json.load(sys.stdin)
    sys.stdin = open(os.devnull)  # noqa: SIM115  for as long as this process
    answer = json.dumps(run(request["code"], request["inputs"])).encode()
    with os.fdopen(result_fd, "wb") as result:
        result.write(answer)


if __name__ == "__main__":
    main()
