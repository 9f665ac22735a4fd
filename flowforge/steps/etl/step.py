"""`etl`: reads rows in one place, changes them, writes them to another; docs/etl.md.

The worker moves bytes (transfer.py); what reads, transforms and writes rows is DuckDB in a child that sees nothing but
its scratch folder. A target is replaced at once: whoever reads finds the old rows or the new ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from flowforge.core.errors import Fault
from flowforge.core.failpoints import failpoint
from flowforge.core.json import Json
from flowforge.steps.base import (
    BaseStep,
    Completed,
    Context,
    CredentialRefused,
    Failed,
    Kind,
    Outcome,
    Queue,
    StepCancelled,
)
from flowforge.steps.data import postgres, sqlite
from flowforge.steps.data.child import run_child
from flowforge.steps.data.failures import DataFailure
from flowforge.steps.data.places import MEDIA_TYPES, Column, Fetched, Place
from flowforge.steps.data.tables import Mode
from flowforge.steps.data.transfer import fetch, is_marked, mark, store
from flowforge.steps.etl import config as configs
from flowforge.steps.etl import transformation
from flowforge.steps.process import CommandNotFound, NotIsolated, SupervisorLost
from flowforge.steps.scratch import scratch_directory

MAX_SCHEMA_COLUMNS: Final = 2_000  # in the output

_RUNNER: Final = "flowforge.steps.etl.runner"
_PACKED: Final = ".gz"
_TABLE_FORMATS: Final = {"postgres": "table", "sqlite": "parquet"}  # as their writers take it


@dataclass(frozen=True, kw_only=True)
class _Result:
    """What the child has made."""

    path: Path
    format: str
    rows_read: int
    rows_written: int
    columns: tuple[Column, ...]


class Etl(BaseStep):
    """Rows from one place to another."""

    name: ClassVar[str] = "etl"
    title: ClassVar[str] = "Extract, transform, load"
    description: ClassVar[str] = "Reads rows from files, tables or the web, changes them, and writes them elsewhere."
    kind: ClassVar[Kind] = "effect"
    queue: ClassVar[Queue] = "process"
    starts_processes: ClassVar[bool] = True
    default_timeout_seconds: ClassVar[float | None] = 3600.0
    credential_members: ClassVar[frozenset[str]] = frozenset({"source_credential", "target_credential"})
    config_schema: ClassVar[Mapping[str, Any]] = configs.SCHEMA
    output_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "required": ["rows_read", "rows_written", "columns", "bytes", "schema"],
        "properties": {
            "rows_read": {"type": "integer"},
            "rows_written": {"type": "integer", "description": "By this step: without what was there before."},
            "columns": {"type": "array", "items": {"type": "string"}},
            "bytes": {"type": "integer", "description": "Of what was written, as it was handed to the target."},
            "schema": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"name": {"type": "string"}, "type": {"type": "string"}},
                },
            },
        },
    }

    def check(self, config: Mapping[str, Any]) -> list[Fault]:
        return configs.faults(config)

    def run(self, context: Context) -> Outcome:
        if context.cancel.is_set:
            raise StepCancelled(context.cancel.reason)
        if faults := configs.faults(context.config):  # what only rendering has shown
            return Failed(code=_code_of(faults[0]), message=faults[0].detail, retryable=False)
        try:
            with scratch_directory(context.settings.home) as scratch:
                return Completed(output=_moved(context, scratch))
        except DataFailure as failure:
            return failure.failed()
        except CredentialRefused as refused:
            return refused.failed()
        except (CommandNotFound, NotIsolated, SupervisorLost) as error:
            return Failed(code="engine_died", message=str(error))


def _code_of(fault: Fault) -> str:
    is_url = fault.pointer in ("/source_url", "/target_url")
    return fault.code if is_url else "invalid_config"


def _moved(context: Context, scratch: Path) -> Json:
    source, target = configs.end(context.config, "source"), configs.end(context.config, "target")
    mode: Mode = context.config.get("mode", configs.DEFAULT_MODE)
    context.log("info", f"reads {source.location.shown}")
    fetched = fetch(context, source, scratch / "source")
    context.log("info", f"has {fetched.size} bytes")
    failpoint("data.after_fetch")
    existing = _existing(context, target, scratch) if mode == "append" and not target.location.is_table else None
    result = _transformed(context, fetched, target, existing, scratch)
    size = result.path.stat().st_size
    failpoint("data.before_place")
    context.log("info", f"writes {result.rows_written} rows to {target.location.shown}")
    if not _placed(context, target, result, mode, existing):
        context.log("info", "an earlier attempt of this step has written them already")
    failpoint("data.after_place")
    names = [column.name for column in result.columns]
    return {
        "rows_read": result.rows_read,
        "rows_written": result.rows_written,
        "columns": list[Json](names),
        "bytes": size,
        "schema": [{"name": column.name, "type": column.type} for column in result.columns[:MAX_SCHEMA_COLUMNS]],
    }


def _existing(context: Context, target: Place, scratch: Path) -> Fetched | None:
    """What is appended to; None where there is nothing yet."""
    if target.location.name.lower().endswith(_PACKED):
        raise DataFailure("invalid_config", "Nothing is appended to a compressed file.")
    try:
        return fetch(context, target, scratch / "existing")
    except DataFailure as failure:
        if failure.code == "not_found":
            return None
        raise


def _transformed(context: Context, fetched: Fetched, target: Place, existing: Fetched | None, scratch: Path) -> _Result:
    source_format = _source_format(context, fetched)
    format = _target_format(context, target, source_format)
    path = scratch / "result"
    settings = context.settings
    request = {
        "source": {
            "path": str(fetched.path),
            "format": source_format,
            "columns": {column.name: column.type for column in fetched.columns},
            "options": {"header": False} if fetched.columns else configs.csv_options(context.config, "source"),
        },
        "transformation": transformation.listed(context.config.get("transformation", [])),
        "target": {
            "path": str(path),
            "format": format,
            "options": configs.csv_options(context.config, "target"),
            "existing": None if existing is None else str(existing.path),
            "packed": target.location.name.lower().endswith(_PACKED),
        },
        "memory_bytes": settings.data_memory_bytes,
        "disk_bytes": settings.max_data_bytes,
        "temporary": str(scratch / "temporary"),
    }
    found = run_child(context, _RUNNER, request, scratch=scratch)
    return _Result(
        path=path,
        format=format,
        rows_read=found["rows_read"],
        rows_written=found["rows_written"],
        columns=tuple(Column(name=each["name"], type=each["type"]) for each in found["schema"]),
    )


def _source_format(context: Context, fetched: Fetched) -> str:
    found = "table" if fetched.columns else context.config.get("format") or fetched.format
    if found is None:
        raise DataFailure("unknown_format", "Neither the config nor the source says what format it has.")
    return str(found)


def _target_format(context: Context, target: Place, source_format: str) -> str:
    if target.location.is_table:
        return _TABLE_FORMATS[target.location.scheme]
    found = context.config.get("target_format") or target.format
    if found is None and source_format == "table":
        raise DataFailure("unknown_format", "Neither the config nor the target says what format it is to have.")
    return str(found or source_format)


def _placed(context: Context, target: Place, result: _Result, mode: Mode, existing: Fetched | None) -> bool:
    """False: an earlier attempt has done it."""
    if target.location.is_table:
        writer = postgres.write if target.location.scheme == "postgres" else sqlite.write
        if not result.columns:
            raise DataFailure("no_columns", "There are no columns to make a table of.")
        return writer(context, target, result.path, columns=result.columns, mode=mode, mark=mark(context))
    if existing is not None and is_marked(context, existing):
        return False
    # what was not there when it was looked for is not replaced: somebody else has come first
    replace = mode == "replace" or existing is not None
    try:
        store(
            context,
            target,
            result.path,
            content_type=MEDIA_TYPES[result.format],
            replace=replace,
            instead_of=existing,
        )
    except DataFailure as failure:
        if mode == "append" and failure.code == "target_exists":
            raise DataFailure("target_changed", failure.message, retryable=True) from None
        raise
    return True
