"""`python`: code of the workflow's author, in a process of its own."""

import ast
import json as stdlib_json
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Final

from flowforge.core import json
from flowforge.core.errors import Fault
from flowforge.core.json import Json
from flowforge.core.jsonschema import compile_schema
from flowforge.steps import python_runner
from flowforge.steps.assets import NotAvailable
from flowforge.steps.base import BaseStep, Completed, Context, Failed, Kind, Outcome, Queue
from flowforge.steps.process import Limits, ProcessResult, run_process
from flowforge.steps.python_signature import MAIN, Main, coerced, faults_of_inputs, inputs_schema
from flowforge.steps.scratch import scratch_directory
from flowforge.steps.values import holds_expression

MAX_RESULT_BYTES: Final = 1024 * 1024  # no step keeps a larger output


class Python(BaseStep):
    """Calls `main(**inputs)` of the given code; its output is what that returns. `async def main` will do."""

    name: ClassVar[str] = "python"
    title: ClassVar[str] = "Python"
    description: ClassVar[str] = "Runs a Python function in a process of its own; what it prints is the step's log."
    kind: ClassVar[Kind] = "effect"
    queue: ClassVar[Queue] = "process"
    starts_processes: ClassVar[bool] = True
    default_timeout_seconds: ClassVar[float | None] = 3600.0
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "code": {
                "type": "string",
                "title": "Code",
                "description": "Defines `def main(…)`, with the inputs as its arguments. The standard library and the "
                "packages installed beside the worker can be imported.",
                "examples": [
                    "def main(numbers: list[float], digits: int = 2):\n    return round(sum(numbers), digits)\n"
                ],
            },
            "code_asset_id": {
                "type": "string",
                "minLength": 1,
                "title": "Code of a snippet",
                "description": "In place of code: the id of a snippet of the project.",
            },
            "code_asset_version": {
                "type": "integer",
                "minimum": 1,
                "title": "Version of the snippet",
                "description": "The newest by default.",
            },
            "inputs": {
                "type": "object",
                "title": "Inputs",
                "description": "The arguments of main, by name; checked against its annotations.",
            },
        },
    }
    output_schema: ClassVar[Mapping[str, Any]] = {"description": "What main returns."}
    asset_members: ClassVar[Mapping[str, str]] = MappingProxyType({"code_asset_id": "snippet"})

    def check(self, config: Mapping[str, Any]) -> list[Fault]:
        """Parses the code; never runs it. Values pasted into code would be code: they come as inputs."""
        if faults := _faults_of_members(config):
            return faults
        if "code" not in config:
            return []  # the snippet is looked at when it is read: the newest may be another by then
        if holds_expression(config["code"]):
            detail = "code holds no expressions ({{ … }}); pass values as inputs"
            return [Fault(pointer="/code", code="expression_in_code", detail=detail)]
        try:
            tree = _parsed(config["code"])
        except _NoCode as error:
            return [Fault(pointer="/code", code="syntax_error", detail=str(error))]
        if not _defines_main(tree):
            return [Fault(pointer="/code", code="no_main", detail="the code has to define `def main(**inputs)`")]
        schema = inputs_schema(tree)
        return [] if schema is None else faults_of_inputs(schema, config.get("inputs", {}))

    def run(self, context: Context) -> Outcome:
        inputs = context.config.get("inputs", {})
        try:
            code = _code(context)
            schema = inputs_schema(_parsed(code))
        except NotAvailable as error:
            return Failed(code="not_available", message=str(error), retryable=error.retryable)
        except _NoCode as error:
            return Failed(code="invalid_code", message=str(error), retryable=False)
        if schema is not None:
            inputs = coerced(inputs, schema)
            faults = compile_schema(schema).faults(inputs)
            if faults:
                return _invalid_inputs(faults)
        return _outcome(_called({"code": code, "inputs": inputs, "schema": schema or {}}, context))


def _called(request: Mapping[str, Any], context: Context) -> ProcessResult:
    with scratch_directory(context.settings.home) as scratch:
        return run_process(
            # -I: neither the working directory nor PYTHON… variables say what is imported; -u: logs come live
            [sys.executable, "-I", "-u", python_runner.__file__],
            context=context,
            scratch=scratch,
            stdin=json.dumps(request),
            limits=Limits(memory_bytes=context.settings.process_memory_bytes),
            max_result_bytes=MAX_RESULT_BYTES,
        )


class _NoCode(Exception):
    """A text that cannot be parsed, and why."""


def _parsed(code: str) -> ast.Module:
    """Raises _NoCode."""
    try:
        return ast.parse(code, python_runner.FILENAME)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _NoCode(_describe(error)) from None


def _faults_of_members(config: Mapping[str, Any]) -> list[Fault]:
    """Which members go together. Who gives a run its inputs does not choose the code: its id is no expression."""
    if "code" in config and "code_asset_id" in config:
        return [Fault(pointer="/code_asset_id", code="one_of", detail="give one of code, code_asset_id")]
    if "code" not in config and "code_asset_id" not in config:
        return [Fault(pointer="/code", code="required", detail="give one of code, code_asset_id")]
    if "code" in config and "code_asset_version" in config:
        return [Fault(pointer="/code_asset_version", code="needless", detail="goes with code_asset_id")]
    if holds_expression(config.get("code_asset_id", "")):
        detail = "which snippet it is is written down, not computed"
        return [Fault(pointer="/code_asset_id", code="computed_asset", detail=detail)]
    return []


def _code(context: Context) -> str:
    """Raises NotAvailable."""
    config = context.config
    if "code" in config:
        return str(config["code"])
    return context.assets.snippet(config["code_asset_id"], config.get("code_asset_version"))


def _defines_main(tree: ast.AST) -> bool:
    return any(isinstance(node, Main) and node.name == MAIN for node in ast.walk(tree))


def _invalid_inputs(faults: Sequence[Fault]) -> Failed:
    found = [fault.under("/inputs") for fault in faults]
    shown = "; ".join(f"{fault.pointer} {fault.detail}" for fault in found[:3])
    details: dict[str, Json] = {"errors": [fault.as_dict() for fault in found]}
    message = f"The inputs are not what main() takes: {shown}"
    return Failed(code="invalid_inputs", message=message, retryable=False, details=details)


def _describe(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: {error.msg}"
    return str(error) or type(error).__name__


def _outcome(result: ProcessResult) -> Outcome:
    if result.result is None:
        return Failed(code="invalid_output", message=f"main() returned over {MAX_RESULT_BYTES} bytes", retryable=False)
    answer = _answer(result.result)
    if answer is None:
        message = f"the process ended with {result.reason} before main() had returned"
        return Failed(code="python_error", message=message, details={"exit_code": result.exit_code})
    if "output" in answer:
        return Completed(output=answer["output"])
    details: dict[str, Json] = {} if answer["line"] is None else {"line": answer["line"]}
    retryable = answer["code"] != "invalid_output"
    return Failed(code=answer["code"], message=answer["message"], retryable=retryable, details=details)


def _answer(raw: bytes) -> dict[str, Any] | None:
    """What the runner said; None if it could not.

    With the standard library's parser: it reads NaN and huge integers, which the engine replaces and marks.
    """
    try:
        found = stdlib_json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and ("output" in found or "code" in found) else None
