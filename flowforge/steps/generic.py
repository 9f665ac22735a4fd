"""`generic`: a command."""

import shlex
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from flowforge.core import json
from flowforge.core.errors import Fault
from flowforge.core.json import Json, JsonError
from flowforge.steps.base import BaseStep, Completed, Context, Failed, Kind, Outcome, Queue
from flowforge.steps.output import decode
from flowforge.steps.process import CommandNotFound, Limits, ProcessResult, run_process
from flowforge.steps.scratch import scratch_directory, working_directory
from flowforge.steps.values import holds_expression, text

MAX_PARSED_BYTES: Final = 512 * 1024  # an output holds it beside its text, and has 1 MiB at most


class Generic(BaseStep):
    """Runs a program with arguments; no shell, unless the program is one (`bash`, args `-c`, …)."""

    name: ClassVar[str] = "generic"
    title: ClassVar[str] = "Command"
    description: ClassVar[str] = "Runs a command in a process of its own; an exit code other than 0 fails."
    kind: ClassVar[Kind] = "effect"
    queue: ClassVar[Queue] = "process"
    starts_processes: ClassVar[bool] = True
    default_timeout_seconds: ClassVar[float | None] = 3600.0
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "required": ["command"],
        "additionalProperties": False,
        "properties": {
            "command": {
                "type": "string",
                "minLength": 1,
                "title": "Command",
                "description": "The program, with arguments if you like: split at spaces as a shell would, quotes "
                "kept together, nothing else interpreted.",
                "examples": ["python3 -m json.tool"],
            },
            "args": {
                "type": "array",
                "items": {"type": ["string", "number", "boolean"]},
                "title": "Arguments",
                "description": "Handed over as they are, after those of the command.",
            },
            "environment": {
                "type": "object",
                "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
                "additionalProperties": {"type": ["string", "number", "boolean"]},
                "title": "Environment",
            },
            "cwd": {
                "type": "string",
                "title": "Working directory",
                "description": "Inside the scratch directory (the default), or an absolute path inside a file root.",
            },
            "stdin": {"title": "Standard input", "description": "Text; anything else is sent as its JSON."},
            "output": {
                "enum": ["text", "lines", "json"],
                "default": "text",
                "title": "Output",
                "description": "As what the standard output is read beside stdout: its lines, or one JSON value; of "
                "up to 512 KiB.",
            },
        },
    }
    output_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "required": ["exit_code", "stdout", "stderr"],
        "properties": {
            "exit_code": {"type": "integer"},
            "stdout": {"type": "string", "description": "The last 64 KiB."},
            "stderr": {"type": "string", "description": "The last 64 KiB."},
            "lines": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Of the standard output, where lines were asked for.",
            },
            "json": {"description": "The standard output as a value, where json was asked for."},
        },
    }

    def check(self, config: Mapping[str, Any]) -> list[Fault]:
        if holds_expression(config["command"]):
            return []
        try:
            _split(config["command"])
        except ValueError as error:
            return [Fault(pointer="/command", code="invalid_command", detail=str(error))]
        return []

    def run(self, context: Context) -> Outcome:
        config = context.config
        form = config.get("output", "text")
        with scratch_directory(context.settings.home) as scratch:
            try:
                argv = [*_split(config["command"]), *map(text, config.get("args", ()))]
                cwd = working_directory(config.get("cwd"), scratch, context.settings.file_roots)
            except ValueError as error:
                return Failed(code="invalid_config", message=str(error), retryable=False)
            try:
                result = run_process(
                    argv,
                    context=context,
                    scratch=scratch,
                    cwd=cwd,
                    environment={name: text(value) for name, value in config.get("environment", {}).items()},
                    stdin=text(config.get("stdin", "")).encode(),
                    limits=Limits(memory_bytes=context.settings.process_memory_bytes),
                    max_stdout_bytes=0 if form == "text" else MAX_PARSED_BYTES,
                )
            except CommandNotFound as error:
                return Failed(code="command_not_found", message=str(error), retryable=False)
        return _outcome(result, form)


def _split(command: str) -> list[str]:
    """Raises ValueError, with a message for people."""
    try:
        found = shlex.split(command)
    except ValueError as error:
        raise ValueError(f"the command cannot be split into arguments: {error}") from None
    if not found:
        raise ValueError("the command is empty")
    return found


def _outcome(result: ProcessResult, form: str) -> Outcome:
    output: dict[str, Json] = {"exit_code": result.exit_code, "stdout": result.stdout, "stderr": result.stderr}
    if result.exit_code == 0:
        return _completed(result, form, output)
    details: dict[str, Json] = {"exit_code": result.exit_code}
    if result.signal:
        details["signal"] = result.signal
    message = f"the command ended with {result.reason}"
    return Failed(code="exit_code", message=message, details=details, output=output)


def _completed(result: ProcessResult, form: str, output: Mapping[str, Json]) -> Outcome:
    if form == "text":
        return Completed(output=dict(output))
    raw = result.whole_stdout
    if raw is None:
        message = f"the standard output has over {MAX_PARSED_BYTES} bytes: too much to be read as {form}"
        return Failed(code="invalid_output", message=message, retryable=False, output=dict(output))
    if form == "lines":
        return Completed(output={**output, "lines": decode(raw).splitlines()})
    try:
        return Completed(output={**output, "json": json.loads(raw)})
    except JsonError as error:
        message = f"the standard output is no JSON: {error}"
        return Failed(code="invalid_output", message=message, retryable=False, output=dict(output))
