"""`ci`: a command in a checkout of a repository."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Final

from flowforge.core.errors import Fault
from flowforge.core.json import Json
from flowforge.steps.base import BaseStep, Completed, Context, CredentialRefused, Failed, Kind, Outcome, Queue
from flowforge.steps.ci.artifacts import NotKept, keep
from flowforge.steps.ci.checkout import NotCheckedOut, check_out
from flowforge.steps.ci.source import Source, check_commit, check_ref, repository_url, source_of
from flowforge.steps.process import Limits, ProcessResult, run_process
from flowforge.steps.scratch import scratch_directory
from flowforge.steps.values import holds_expression, text

_FOLDER: Final = "checkout"  # in the scratch directory
_CHECKS: Final = {"repo_url": repository_url, "branch": check_ref, "commit": check_commit}


class Ci(BaseStep):
    """Fetches one commit, without its history, and runs a shell command in its files."""

    name: ClassVar[str] = "ci"
    title: ClassVar[str] = "Continuous integration"
    description: ClassVar[str] = "Runs a command in a fresh checkout of a Git repository; keeps the files it makes."
    kind: ClassVar[Kind] = "effect"
    queue: ClassVar[Queue] = "process"
    starts_processes: ClassVar[bool] = True
    default_timeout_seconds: ClassVar[float | None] = 3600.0
    credential_members: ClassVar[frozenset[str]] = frozenset({"credential"})
    target_member: ClassVar[str | None] = "repo_url"
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "required": ["repo_url", "command"],
        "additionalProperties": False,
        "properties": {
            "repo_url": {
                "type": "string",
                "title": "Repository",
                "description": "https://host/path; http only for targets that the operator has named.",
                "examples": ["https://github.com/django/django.git"],
            },
            "branch": {
                "type": ["string", "null"],
                "title": "Branch",
                "description": "Its name, or a ref in full such as refs/tags/v1; the repository's own if left out.",
                "examples": ["main"],
            },
            "commit": {
                "type": ["string", "null"],
                "title": "Commit",
                "description": "The whole id of the commit to fetch in place of the branch's newest.",
            },
            "command": {
                "type": "string",
                "minLength": 1,
                "title": "Command",
                "description": "A script for sh -e, run in the checkout. It holds no expressions: values come by the "
                "environment.",
                "examples": ["pip install -r requirements.txt\npytest\n"],
            },
            "environment": {
                "anyOf": [
                    {"type": "string", "maxLength": 200},
                    {
                        "type": "object",
                        "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
                        "additionalProperties": {"type": ["string", "number", "boolean"]},
                    },
                ],
                "title": "Environment",
                "description": "Variables; or the name of an environment, which is the variable ENVIRONMENT.",
            },
            "artifacts": {
                "type": "array",
                "maxItems": 20,
                "items": {"type": "string", "minLength": 1, "maxLength": 300},
                "title": "Artifacts",
                "description": "Patterns of the files to keep: * and ? within a name, ** over folders; a folder is all "
                "that is in it.",
                "examples": [["dist/*.whl", "reports/**/*.xml"]],
            },
            "credential": {
                "type": "string",
                "minLength": 1,
                "title": "Credential",
                "description": "The name of one of the project's, of the type token, basic or header. To its hosts "
                "alone.",
            },
        },
    }
    output_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "required": ["commit", "exit_code", "stdout", "stderr", "artifacts"],
        "properties": {
            "commit": {"type": "string", "description": "The id of the commit that was checked out."},
            "exit_code": {"type": "integer"},
            "stdout": {"type": "string", "description": "The command's, the last 64 KiB."},
            "stderr": {"type": "string", "description": "The command's, the last 64 KiB."},
            "artifacts": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["path", "size", "sha256", "url"],
                    "properties": {
                        "path": {"type": "string", "description": "In the checkout."},
                        "size": {"type": "integer", "description": "Bytes."},
                        "sha256": {"type": "string"},
                        "url": {"type": "string", "description": "file://…, as etl steps read it."},
                    },
                },
            },
        },
    }

    def check(self, config: Mapping[str, Any]) -> list[Fault]:
        faults = [fault for member in _CHECKS for fault in _faults_of(member, config.get(member))]
        if holds_expression(config["command"]):
            detail = "the command holds no expressions ({{ … }}); pass values by the environment"
            faults.append(Fault(pointer="/command", code="expression_in_command", detail=detail))
        patterns = config.get("artifacts", [])
        for place, pattern in enumerate(patterns if isinstance(patterns, list) else []):
            faults += _faults_of_pattern(place, pattern)
        return faults

    def run(self, context: Context) -> Outcome:
        try:
            source = source_of(context.config)
        except ValueError as error:
            return Failed(code="invalid_config", message=str(error), retryable=False)
        with scratch_directory(context.settings.home) as scratch:
            try:
                return _run(source, context, scratch)
            except (NotCheckedOut, NotKept) as problem:
                return problem.failed
            except CredentialRefused as refused:
                return refused.failed()


def _run(source: Source, context: Context, scratch: Path) -> Outcome:
    folder = scratch / _FOLDER
    commit = check_out(source, context, scratch, folder=folder)
    context.log("info", f"checked out {commit} of {source.url}")
    result = run_process(
        ["/bin/sh", "-e", "-c", context.config["command"]],
        context=context,
        scratch=scratch,
        cwd=folder,
        environment={**_said_by_ci(source, commit), **_environment(context.config.get("environment", {}))},
        limits=Limits(memory_bytes=context.settings.process_memory_bytes),
    )
    patterns = context.config.get("artifacts", [])
    outcome = _outcome(result, commit)
    if not patterns:
        return outcome
    kept: Json = keep(patterns, context, scratch, folder=folder)  # of a failed command too: its reports say why
    return replace(outcome, output={**outcome.output, "artifacts": kept})


def _said_by_ci(source: Source, commit: str) -> dict[str, str]:
    """What scripts look for to know that they run unattended, and on what."""
    found = {"CI": "true", "GIT_COMMIT": commit, "GIT_URL": source.url, "GIT_TERMINAL_PROMPT": "0"}
    return found if source.branch is None else found | {"GIT_BRANCH": source.branch}


def _environment(given: str | Mapping[str, Json]) -> dict[str, str]:
    if isinstance(given, str):
        return {"ENVIRONMENT": given}
    return {name: text(value) for name, value in given.items()}


def _outcome(result: ProcessResult, commit: str) -> Completed | Failed:
    output: dict[str, Json] = {
        "commit": commit,
        "exit_code": result.exit_code,
        "stdout": result.stdout,
        "stderr": result.stderr,
        "artifacts": [],
    }
    if result.exit_code == 0:
        return Completed(output=output)
    details: dict[str, Json] = {"exit_code": result.exit_code, "commit": commit}
    if result.signal:
        details["signal"] = result.signal
    return Failed(code="exit_code", message=f"the command ended with {result.reason}", details=details, output=output)


def _faults_of(member: str, value: Json) -> list[Fault]:
    if value is None or holds_expression(value):
        return []
    try:
        _CHECKS[member](value)
    except ValueError as error:
        return [Fault(pointer=f"/{member}", code=f"invalid_{member}", detail=str(error))]
    return []


def _faults_of_pattern(place: int, pattern: Json) -> list[Fault]:
    if not isinstance(pattern, str) or not (pattern.startswith("/") or ".." in pattern.split("/")):
        return []
    detail = "a pattern is relative to the checkout, and stays in it"
    return [Fault(pointer=f"/artifacts/{place}", code="invalid_pattern", detail=detail)]
