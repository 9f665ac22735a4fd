"""DuckDB as steps use it, in a process of its own: bounded, and closed to everything but the files it is given.

For the child alone; the worker imports none of it. First `opened`, then views on the inputs, then `closed_in`: after it
on neither SQL nor a function reads or writes another file, opens a connection, attaches, loads or changes a setting.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import duckdb

THREADS: Final = 2
SMALL_BYTES: Final = 192 * 1024**2  # below this the buffers of two threads are too much

_SETTINGS: Final = (
    "SET python_enable_replacements = false",  # else the names of our own variables are tables
    "SET python_scan_all_frames = false",
    "SET TimeZone = 'UTC'",
    "SET enable_progress_bar = true",
    "SET enable_progress_bar_print = false",
    "PRAGMA enable_profiling = 'no_output'",
)
_CSV_LINE: Final = re.compile(r"CSV Error on Line: (\d+)")
_CSV_REASON: Final = re.compile(
    r"^(Expected Number of Columns: .*|Error when converting column .*|Invalid unicode .*|Value with unterminated"
    r" quote.*|Maximum line size .*)$",
    re.MULTILINE,
)


class Problem(Exception):
    """What the child has to say instead of a result."""

    def __init__(self, code: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details


def opened(*, memory_bytes: int, temporary: Path, temporary_bytes: int) -> duckdb.DuckDBPyConnection:
    """A database in memory that spills into `temporary`."""
    config: dict[str, Any] = {
        "memory_limit": f"{memory_bytes}B",
        "threads": 1 if memory_bytes < SMALL_BYTES else THREADS,
        "temp_directory": str(temporary),
        "max_temp_directory_size": f"{temporary_bytes}B",
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        "allow_persistent_secrets": False,
    }
    connection = duckdb.connect(":memory:", config=config)
    for setting in _SETTINGS:
        connection.execute(setting)
    return connection


def closed_in(connection: duckdb.DuckDBPyConnection, paths: Iterable[Path]) -> None:
    """Nothing but these files, and no way back."""
    listed = ", ".join(text(str(path)) for path in paths)
    connection.execute(f"SET allowed_paths = [{listed}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def name(identifier: str) -> str:
    """An identifier in SQL."""
    return '"' + identifier.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text in SQL."""
    return "'" + value.replace("'", "''") + "'"


def problem_of(error: duckdb.Error) -> Problem:
    """What went wrong, without the lines of data that DuckDB quotes."""
    said = str(error)
    if isinstance(error, duckdb.OutOfMemoryException):
        if "max_temp_directory_size" in said or "temporary directory" in said.lower():
            return Problem("too_large", "What is sorted or grouped does not fit on disk within the operator's limit.")
        return Problem("out_of_memory", "What is sorted, grouped or joined does not fit into the step's memory.")
    if "File too large" in said or "No space left" in said:
        return Problem("too_large", "The result does not fit on disk within the operator's limit.")
    line = _CSV_LINE.search(said)
    if line is not None:
        reason = _CSV_REASON.search(said)
        shown = reason.group() if reason else "the line is not valid CSV"
        return Problem("invalid_data", f"Line {line.group(1)}: {shown}", line=int(line.group(1)))
    if isinstance(error, duckdb.PermissionException):
        return Problem("sql_refused", "The SQL reads or writes something else than `source`.")
    if isinstance(error, (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException)):
        return Problem("invalid_sql", _first_line(said))
    return Problem("invalid_data", _first_line(said))


def _first_line(said: str) -> str:
    """DuckDB quotes the statement below it, which is not the user's own."""
    return said.strip().partition("\n")[0][:1_000]
