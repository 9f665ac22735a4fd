"""The result of a query as a file of the wanted format, in the child."""

import gzip
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

import duckdb

from flowforge.steps.data.duck import SMALL_BYTES, Problem, name, text
from flowforge.steps.data.kinds import difference, is_nested
from flowforge.steps.data.reading import Source, csv_names, described, query

TABLE: Final = "table"  # csv as databases take it here: unquoted nothing is null

_HUGE: Final = frozenset({"hugeint", "uhugeint"})
_PLAIN: Final = frozenset({"csv", TABLE})
_ROW_GROUP: Final = 122_880
_SMALL_ROW_GROUP: Final = 20_000
_TAIL: Final = 4096
_CHUNK: Final = 1024 * 1024


def columns_of(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[str, Any]]:
    return list(described(connection, sql))


def projected(columns: Sequence[tuple[str, Any]], format: str, order: Sequence[str] = ()) -> str:
    """The columns as a format can hold them: `SELECT` … of it."""
    by_name = dict(columns)
    return ", ".join(_expression(column, by_name[column], format) for column in order or by_name)


def _expression(column: str, kind: Any, format: str) -> str:
    quoted = name(column)
    if kind.id in _HUGE:  # what sum() of integers gives: parquet has nothing of the kind
        return f"CAST({quoted} AS BIGINT) AS {quoted}"
    if format in _PLAIN and is_nested(str(kind)):
        return f"CAST(to_json({quoted}) AS VARCHAR) AS {quoted}"
    if format == TABLE and kind.id == "blob":
        return f"'\\x' || hex({quoted}) AS {quoted}"
    return quoted


def copy(connection: duckdb.DuckDBPyConnection, sql: str, target: "Target", *, header: bool) -> int:
    """Write it; the number of rows."""
    row = connection.execute(
        f"COPY ({sql}) TO {text(str(target.path))} ({_options(target, header)}, USE_TMP_FILE false)"
    ).fetchone()
    return int(row[0]) if row else 0


class Target:
    """Where the result goes, and as what."""

    def __init__(self, found: Mapping[str, Any], memory_bytes: int) -> None:
        self.path = Path(found["path"])
        self.format: str = found["format"]
        self.options: Mapping[str, Any] = found.get("options", {})
        self.existing = Path(found["existing"]) if found.get("existing") else None  # what it is appended to
        self.is_packed: bool = found.get("packed", False)
        self.row_group = _SMALL_ROW_GROUP if memory_bytes < SMALL_BYTES else _ROW_GROUP
        self.memory_bytes = memory_bytes


def write_nothing(target: Target) -> None:
    """There are no columns, and so no rows."""
    if target.format in ("parquet", TABLE):
        raise Problem("no_columns", "The source holds neither rows nor columns: there is nothing to make a table of.")
    content = b"[]\n" if target.format == "json" else b""
    with open(target.path, "wb") as file:
        file.write(gzip.compress(content) if target.is_packed else content)


def _options(target: Target, header: bool) -> str:
    if target.format == "parquet":
        return f"FORMAT parquet, ROW_GROUP_SIZE {target.row_group}"
    packed = f", COMPRESSION {'gzip' if target.is_packed else 'none'}"
    if target.format in ("json", "ndjson"):
        return f"FORMAT json, ARRAY {str(target.format == 'json').lower()}{packed}"
    if target.format == TABLE:
        return "FORMAT csv, HEADER false, DELIMITER ',', QUOTE '\"', ESCAPE '\"', NULLSTR ''"
    options = target.options
    quote = text(options.get("quote", '"'))
    return (
        f"FORMAT csv, HEADER {str(header).lower()}, DELIMITER {text(options.get('delimiter', ','))}, QUOTE {quote}, "
        f"ESCAPE {quote}, NULLSTR {text(options.get('null', ''))}{packed}"
    )


# --- appending: the whole anew, what was there byte for byte ------------------------------------------------------


def existing_columns(connection: duckdb.DuckDBPyConnection, target: Target) -> list[tuple[str, Any]]:
    """Of the file that is appended to; [] where there is nothing to agree with."""
    source = existing_source(target)
    if source is None:
        return []
    sql = query(connection, source)
    return [] if sql is None else columns_of(connection, sql)


def existing_source(target: Target) -> Source | None:
    if target.existing is None or target.existing.stat().st_size == 0:
        return None
    options = {key: value for key, value in target.options.items() if key in ("delimiter", "header", "quote", "null")}
    return Source(path=target.existing, format=target.format, options=options, memory_bytes=target.memory_bytes)


def require_same(existing: Sequence[tuple[str, Any]], columns: Sequence[tuple[str, Any]]) -> None:
    """Raises Problem `schema_mismatch`, naming the columns."""
    before, after = ({column: str(kind) for column, kind in each} for each in (existing, columns))
    unfit = difference(before, after, needed=before)
    if unfit is not None:
        raise Problem("schema_mismatch", unfit.message, **unfit.details)


def joined(target: Target, fresh: Path) -> None:
    """`fresh` behind what there is already: the bytes of a csv, of lines, or of a JSON array."""
    existing = target.existing
    if existing is None:
        raise ValueError("there is nothing to append to")
    with open(target.path, "wb") as file:
        if target.format == "json":
            _joined_array(existing, fresh, file)
            return
        with open(existing, "rb") as before:
            shutil.copyfileobj(before, file, _CHUNK)
        if not _ends_in(existing, b"\n"):
            file.write(b"\n")
        with open(fresh, "rb") as after:
            shutil.copyfileobj(after, file, _CHUNK)


def _joined_array(existing: Path, fresh: Path, file: IO[bytes]) -> None:
    """Both are arrays; neither is read but for its brackets."""
    size = existing.stat().st_size
    with open(existing, "rb") as before:
        before.seek(max(0, size - _TAIL))
        tail = before.read()
        bracket = tail.rfind(b"]")
        if bracket < 0:
            raise Problem("invalid_data", "What would be appended to does not end as a JSON array does.")
        keep = size - len(tail) + bracket
        before.seek(0)
        is_empty = keep < _TAIL and b"".join(before.read(keep).split()) in (b"[", b"\xef\xbb\xbf[")
        before.seek(0)
        _copy_bytes(before, file, keep)
    with open(fresh, "rb") as after:
        if fresh.stat().st_size < _TAIL and b"".join(after.read().split()) == b"[]":
            file.write(b"]\n")
            return
        after.seek(0)
        while after.read(1) not in (b"[", b""):
            continue
        file.write(b"" if is_empty else b",")
        shutil.copyfileobj(after, file, _CHUNK)


def _copy_bytes(source: IO[bytes], target: IO[bytes], count: int) -> None:
    while count > 0 and (piece := source.read(min(count, _CHUNK))):
        target.write(piece)
        count -= len(piece)


def _ends_in(path: Path, ending: bytes) -> bool:
    with open(path, "rb") as file:
        file.seek(-len(ending), os.SEEK_END)
        return file.read() == ending


def names_in_order(target: Target, existing: Sequence[tuple[str, Any]]) -> list[str]:
    """In which order the rows have to come: a csv's own."""
    source = existing_source(target)
    if source is None or not existing:
        return []
    return csv_names(source) if target.format == "csv" else [column for column, _ in existing]
