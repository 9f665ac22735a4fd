"""Runs the code of a `python` step: `python -I -u python_runner.py`, in a process of its own.

Standard input carries `{"code", "inputs", "schema"}`, the schema being that of the inputs (python_signature.py); what
`main(**inputs)` returns goes as JSON to the file descriptor FLOWFORGE_RESULT_FD, `{"output"}` or
`{"code", "message", "line"}`; what is printed is the log. Standard library only, and little of it.
"""

import importlib
import json
import linecache
import os
import sys
import traceback
from collections.abc import Iterator
from datetime import date, datetime, time
from types import CoroutineType, ModuleType
from typing import Any, Final

FILENAME: Final = "<code>"


_FORMATS: Final = {"date-time": datetime.fromisoformat, "date": date.fromisoformat}
_BECAUSE: Final = "The above exception was the direct cause of the following exception:"
_MEANWHILE: Final = "During handling of the above exception, another exception occurred:"


def run(code: str, inputs: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """`{"output": …}`, or what went wrong: `{"code", "message", "line"}`."""
    linecache.cache[FILENAME] = (len(code), None, code.splitlines(keepends=True), FILENAME)  # for tracebacks
    module = sys.modules["step"] = ModuleType("step")  # dataclasses, pickle and their like look for it there
    try:
        exec(compile(code, FILENAME, "exec"), module.__dict__)  # noqa: S102  what this process is for
        output = module.__dict__["main"](**read(inputs, schema))
        if isinstance(output, CoroutineType):
            output = importlib.import_module("asyncio").run(output)  # costs more than all else here: for who needs it
    except BaseException as error:  # noqa: BLE001  SystemExit too: the step has not returned
        _print_traceback(error)
        return {"code": "python_error", "message": _describe(error), "line": _line(error)}
    try:
        json.dumps(output, default=plain)
    except (TypeError, ValueError, RecursionError) as error:
        return {"code": "invalid_output", "message": f"main() did not return JSON: {error}", "line": None}
    return {"output": output}


def read(value: Any, schema: dict[str, Any]) -> Any:
    """The value with its texts as dates where the schema says that they are; it has been checked against that."""
    if "anyOf" in schema:
        return next((read(value, option) for option in schema["anyOf"] if _is_of(value, option)), value)
    if isinstance(value, dict):
        parts, others = schema.get("properties", {}), schema.get("additionalProperties") or {}
        return {name: read(item, parts.get(name, others)) for name, item in value.items()}
    if isinstance(value, list):
        return [read(item, schema.get("items", {})) for item in value]
    return _FORMATS[schema["format"]](value) if "format" in schema else value


def _is_of(value: Any, option: dict[str, Any]) -> bool:
    """Whether this is the option that the value is meant by, as far as dates are concerned."""
    kinds = {"string": str, "object": dict, "array": list}
    if not isinstance(value, kinds.get(option.get("type", ""), ())):
        return False
    try:
        read(value, option)
    except ValueError:
        return False
    return True


def plain(value: Any) -> Any:
    """What JSON has no form for, but everybody agrees on one. Raises TypeError on anything else."""
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    if hasattr(type(value), "__dataclass_fields__"):
        return {field.name: getattr(value, field.name) for field in sys.modules["dataclasses"].fields(value)}
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


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
    """As Python does, without the frames that are not the user's."""
    print("\n\n".join(reversed(list(_told(error)))), file=sys.stderr)  # noqa: T201  standard error is the step's log


def _told(error: BaseException) -> Iterator[str]:
    """The exception, then those that led to it, each below the line that joins them."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        frames = _own_frames(found)
        head = "Traceback (most recent call last):\n" + "".join(traceback.format_list(frames)) if frames else ""
        yield head + _describe(found)
        cause, context = found.__cause__, None if found.__suppress_context__ else found.__context__
        if cause is not None or context is not None:
            yield _BECAUSE if cause is not None else _MEANWHILE
        found = cause or context


def main() -> None:
    result_fd = int(os.environ.pop("FLOWFORGE_RESULT_FD"))
    os.set_inheritable(result_fd, False)
    request = json.load(sys.stdin)
    sys.stdin = open(os.devnull)  # noqa: SIM115  for as long as this process
    answer = json.dumps(run(request["code"], request["inputs"], request["schema"]), default=plain).encode()
    with os.fdopen(result_fd, "wb") as result:
        result.write(answer)


if __name__ == "__main__":
    main()
