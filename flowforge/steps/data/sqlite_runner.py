"""The child that reads or writes a table of an SQLite file: requests and results as those of etl/runner.py.

A process of its own, as the file may have been made by anybody. Requests: `{"do": "read", "path", "table", "into",
"max_bytes"}` gives `{"columns": [[name, type]]}` and csv without a header; `{"do": "write", "path", "table", "source",
"columns", "mode", "mark"}`, whose source is a parquet, gives `{"written": rows, "again": false}`.
"""

import json
import os
import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Final
from urllib.parse import quote

import duckdb

from flowforge.steps.data.duck import Problem, text
from flowforge.steps.data.duck import name as quoted
from flowforge.steps.data.kinds import difference, family
from flowforge.steps.data.tables import LEDGER, LEDGER_DAYS

_BUSY_SECONDS: Final = 30.0
_BATCH: Final = 5_000
_MEMORY: Final = "256MB"  # a parquet is read in pieces
# DuckDB's type without its parameters -> the one that is declared
_DECLARED: Final = {
    "BOOLEAN": "BOOLEAN", "FLOAT": "REAL", "DOUBLE": "REAL", "DECIMAL": "NUMERIC", "BLOB": "BLOB", "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMP", "TIMESTAMP WITH TIME ZONE": "TIMESTAMP", "JSON": "TEXT", "VARCHAR": "TEXT",
}  # fmt: skip
_STORED: Final = ("BOOLEAN", "FLOAT", "DOUBLE", "BLOB")  # as they are; integers too; everything else as text
_HOLDS: Final = ("integer", "real", "text", "blob")


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    try:
        if os.path.realpath(request["path"]) != request["path"]:
            raise Problem("file_refused", "The file has become a link.")
        return _read(request) if request["do"] == "read" else _write(request)
    except Problem as problem:
        return {"code": problem.code, "message": problem.message, "details": problem.details}
    except sqlite3.Error as error:
        return {"code": _code(error), "message": f"SQLite: {error}", "details": {}}


def _code(error: sqlite3.Error) -> str:
    busy = getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    if busy:
        return "database_busy"
    return "invalid_data" if isinstance(error, (sqlite3.IntegrityError, sqlite3.DataError)) else "database_error"


def _opened(path: str, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(path)}?mode={mode}", uri=True, timeout=_BUSY_SECONDS, isolation_level=None
    )
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def _columns(connection: sqlite3.Connection, table: str) -> dict[str, tuple[str, bool]]:
    """Name -> (declared type, whether it needs a value); nothing where there is no such table."""
    rows = connection.execute('SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(?)', [table])
    return {
        found: (kind.upper(), bool(notnull) and default is None and not pk)
        for found, kind, notnull, default, pk in rows
    }


# --- reading ------------------------------------------------------------------------------------------------------


def _read(request: Mapping[str, Any]) -> dict[str, Any]:
    if not os.path.exists(request["path"]):
        raise Problem("not_found", f"There is no file {os.path.basename(request['path'])}.")
    with closing(_opened(request["path"], "ro")) as connection:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("BEGIN")
        table = request["table"]
        columns = _columns(connection, table)
        if not columns:
            raise Problem("not_found", f"There is no table {table!r}.")
        types = _types(connection, table, columns)
        _pour(connection.execute(f"SELECT {_listed(types)} FROM {quoted(table)}"), request)
    return {"columns": [[column, kind] for column, kind in types.items()]}


def _types(connection: sqlite3.Connection, table: str, columns: Mapping[str, tuple[str, bool]]) -> dict[str, str]:
    """DuckDB's types, by what the columns hold: SQLite keeps to no declaration."""
    tests = ", ".join(f"max(typeof({quoted(column)}) = '{kind}')" for column in columns for kind in _HOLDS)
    row = connection.execute(f"SELECT {tests} FROM {quoted(table)}").fetchone()
    held = [row[place : place + len(_HOLDS)] for place in range(0, len(row), len(_HOLDS))]
    return {
        column: _type(declared, *map(bool, flags))
        for (column, (declared, _)), flags in zip(columns.items(), held, strict=True)
    }


def _type(declared: str, integers: bool, reals: bool, texts: bool, blobs: bool) -> str:
    if blobs or texts:
        return "VARCHAR"
    if reals:
        return "DOUBLE"
    if integers:
        return "BOOLEAN" if declared.startswith("BOOL") else "BIGINT"
    return "VARCHAR"


def _listed(types: Mapping[str, str]) -> str:
    """Blobs as hex; a boolean is what is not zero."""
    return ", ".join(
        f"({column} <> 0)" if kind == "BOOLEAN" else f"iif(typeof({column}) = 'blob', hex({column}), {column})"
        for column, kind in ((quoted(found), kind) for found, kind in types.items())
    )


def _pour(rows: Iterator[Sequence[Any]], request: Mapping[str, Any]) -> None:
    size = 0
    with open(request["into"], "x", encoding="utf-8", newline="") as file:
        for row in rows:
            size += file.write(",".join(map(_field, row)) + "\n")
            if size > request["max_bytes"]:
                raise Problem("too_large", f"There are more than {request['max_bytes']} bytes.")


def _field(value: Any) -> str:
    """As tables come here: unquoted nothing is null."""
    if value is None:
        return ""
    return '"' + value.replace('"', '""') + '"' if isinstance(value, str) else repr(value)


# --- writing ------------------------------------------------------------------------------------------------------


def _write(request: Mapping[str, Any]) -> dict[str, Any]:
    columns = dict(request["columns"])
    with closing(_opened(request["path"], "rwc")) as connection, closing(duckdb.connect(config=_engine())) as engine:
        connection.execute("BEGIN IMMEDIATE")
        try:
            if request["mode"] != "replace" and not _is_first(connection, request["mark"]):
                connection.execute("ROLLBACK")
                return {"written": 0, "again": True}
            _make_ready(connection, request["table"], columns, request["mode"])
            written = _insert(connection, engine, request, columns)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    return {"written": written, "again": False}


def _engine() -> dict[str, Any]:
    return {"memory_limit": _MEMORY, "threads": 1, "autoinstall_known_extensions": False}


def _is_first(connection: sqlite3.Connection, mark: str) -> bool:
    """Note in the ledger, in the transaction of the rows, that this step has written."""
    ledger = quoted(LEDGER)
    connection.execute(f"CREATE TABLE IF NOT EXISTS {ledger} (key TEXT PRIMARY KEY, written_at TEXT NOT NULL)")
    connection.execute(f"DELETE FROM {ledger} WHERE written_at < datetime('now', ?)", [f"-{LEDGER_DAYS} days"])
    done = connection.execute(f"INSERT OR IGNORE INTO {ledger} VALUES (?, datetime('now'))", [mark])
    return done.rowcount == 1


def _make_ready(connection: sqlite3.Connection, table: str, columns: Mapping[str, str], mode: str) -> None:
    found = _columns(connection, table)
    if not found:
        _create(connection, table, columns)
        return
    if mode == "error":
        raise Problem("target_exists", f"The table {table!r} exists already.")
    before = {column: _like(declared) for column, (declared, _) in found.items()}
    needed = [column for column, (_, is_needed) in found.items() if is_needed]
    unfit = difference(before, columns, needed=needed)
    if mode == "append":
        if unfit is not None:
            raise Problem("schema_mismatch", unfit.message, **unfit.details)
    elif unfit is None and before.keys() == columns.keys():
        connection.execute(f"DELETE FROM {quoted(table)}")
    else:
        connection.execute(f"DROP TABLE {quoted(table)}")
        _create(connection, table, columns)


def _like(declared: str) -> str:
    """DuckDB's type for a declared one, by SQLite's rules of affinity (datatype3.html, 3.1) and by usual names."""
    if "INT" in declared or any(part in declared for part in ("REAL", "FLOA", "DOUB", "NUM", "DEC")):
        return "DOUBLE"
    if declared.startswith("BOOL"):
        return "BOOLEAN"
    return "TIMESTAMP" if declared.startswith(("DATE", "TIMESTAMP")) else "VARCHAR"


def _create(connection: sqlite3.Connection, table: str, columns: Mapping[str, str]) -> None:
    listed = ", ".join(f"{quoted(column)} {_declared(kind)}" for column, kind in columns.items())
    connection.execute(f"CREATE TABLE {quoted(table)} ({listed})")


def _declared(kind: str) -> str:
    plain = kind.partition("(")[0]
    return _DECLARED.get(plain, "INTEGER" if family(kind) == "number" else "TEXT")


def _insert(
    connection: sqlite3.Connection,
    engine: duckdb.DuckDBPyConnection,
    request: Mapping[str, Any],
    columns: Mapping[str, str],
) -> int:
    shown = ", ".join(_storable(column, kind) for column, kind in columns.items())
    rows = engine.execute(f"SELECT {shown} FROM read_parquet({text(request['source'])})")
    names = ", ".join(map(quoted, columns))
    insert = f"INSERT INTO {quoted(request['table'])} ({names}) VALUES ({', '.join('?' * len(columns))})"
    written = 0
    while batch := rows.fetchmany(_BATCH):
        connection.executemany(insert, batch)
        written += len(batch)
        if written % (_BATCH * 40) == 0:
            print(f"{written} rows written", flush=True)  # noqa: T201  the step's log
    return written


def _storable(column: str, kind: str) -> str:
    plain = kind.partition("(")[0]
    if plain in _STORED or (family(kind) == "number" and plain != "DECIMAL"):
        return quoted(column)
    inner = f"to_json({quoted(column)})" if family(kind) == "nested" else quoted(column)
    return f"CAST({inner} AS VARCHAR)"


def main() -> None:
    result_fd = int(os.environ.pop("FLOWFORGE_RESULT_FD"))
    os.set_inheritable(result_fd, False)
    found = json.dumps(answer(json.load(sys.stdin))).encode()
    with os.fdopen(result_fd, "wb") as result:
        result.write(found)
