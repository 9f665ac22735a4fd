"""`python`: code of the workflow's author, in a process of its own."""

import ast
import json as stdlib_json
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final

from flowforge.core import json
from flowforge.core.errors import Fault
from flowforge.core.json import Json
from flowforge.steps import python_runner
from flowforge.steps.assets import NotAvailable
from flowforge.steps.base import BaseStep, Completed, Context, Failed, Kind, Outcome, Queue
from flowforge.steps.process import Limits, ProcessResult, run_process
from flowforge.steps.scratch import scratch_directory
from flowforge.steps.values import holds_expression

MAX_RESULT_BYTES: Final = 1024 * 1024  # no step keeps a larger output


class Python(BaseStep):
    """Calls `main(**inputs)` of the given code; its output is what that returns."""

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
                "description": "Defines `def main(**inputs)`. The standard library and the packages installed beside "
                "the worker can be imported.",
                "examples": ["def main(numbers):\n    return {'sum': sum(numbers)}\n"],
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
            "inputs": {"type": "object", "title": "Inputs", "description": "The arguments of main, by name."},
        },
    }
    output_schema: ClassVar[Mapping[str, Any]] = {"description": "What main returns."}
    asset_members: ClassVar[Mapping[str, str]] = MappingProxyType({"code_asset_id": "snippet"})

    def check(self, config: Mapping[str, Any]) -> list[Fault]:
        """Parses the code; never runs it. Values pasted into code would be code: they come as inputs."""
        if ("code" in config) == ("code_asset_id" in config):
            pointer = "/code_asset_id" if "code" in config else "/code"
            code = "one_of" if "code" in config else "required"
            return [Fault(pointer=pointer, code=code, detail="give one of code, code_asset_id")]
        if "code" not in config:
            return _faults_of_asset(config["code_asset_id"])
        if "code_asset_version" in config:
            return [Fault(pointer="/code_asset_version", code="needless", detail="goes with code_asset_id")]
        if holds_expression(config["code"]):
            detail = "code holds no expressions ({{ … }}); pass values as inputs"
            return [Fault(pointer="/code", code="expression_in_code", detail=detail)]
        return faults_of_code(config["code"])

    def run(self, context: Context) -> Outcome:
        try:
            code = _code(context)
        except NotAvailable as error:
            return Failed(code="not_available", message=str(error), retryable=error.retryable)
        if "code" not in context.config and (faults := faults_of_code(code)):
            return Failed(code="invalid_code", message=faults[0].detail, retryable=False)
        request = {"code": code, "inputs": context.config.get("inputs", {})}
        with scratch_directory(context.settings.home) as scratch:
            result = run_process(
                # -I: neither the working directory nor PYTHON… variables say what is imported; -u: logs come live
                [sys.executable, "-I", "-u", python_runner.__file__],
                context=context,
                scratch=scratch,
                stdin=json.dumps(request),
                limits=Limits(memory_bytes=context.settings.process_memory_bytes),
                max_result_bytes=MAX_RESULT_BYTES,
            )
        return _outcome(result)


def _faults_of_asset(asset_id: str) -> list[Fault]:
    """Who gives a run its inputs does not choose the code. The snippet itself is looked at when it is read."""
    if not holds_expression(asset_id):
        return []
    detail = "which snippet it is is written down, not computed"
    return [Fault(pointer="/code_asset_id", code="computed_asset", detail=detail)]


def faults_of_code(code: str) -> list[Fault]:
    """What keeps a text from being called; it is parsed, never run."""
    try:
        tree = compile(code, python_runner.FILENAME, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return [Fault(pointer="/code", code="syntax_error", detail=_describe(error))]
    if not _defines_main(tree):
        return [Fault(pointer="/code", code="no_main", detail="the code has to define `def main(**inputs)`")]
    return []


def _code(context: Context) -> str:
    """Raises NotAvailable."""
    config = context.config
    if "code" in config:
        return str(config["code"])
    return context.assets.snippet(config["code_asset_id"], config.get("code_asset_version"))


def _defines_main(tree: ast.AST) -> bool:
    return any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in ast.walk(tree))


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
