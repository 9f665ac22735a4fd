"""A file in the scratch directory as a query, in the child: its columns and types are found before it is read.

CSV: one delimiter (a comma unless it is said otherwise), RFC 4180, no guessing of dialects: a line with too few or too
many fields is an error. Types come from a sample, and from the whole file where the sample was wrong; dates are ISO
8601. JSON: the whole file is looked at first, so that what comes late is not lost.
"""

import csv
import gzip
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import duckdb

from flowforge.steps.data.duck import SMALL_BYTES, Problem, text

ENCODINGS: Final = {"utf-8": "utf-8-sig", "latin-1": "latin-1", "utf-16": "utf-16"}  # DuckDB's names -> Python's

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_SMALL_BUFFER: Final = 2_000_000
_BUFFER: Final = 32_000_000
_OBJECT: Final = 16 * 1024**2
_WHOLE: Final = -1
_SAMPLE: Final = 20_480
_JSON_SCAN: Final = "map_inference_threshold = -1, field_appearance_threshold = 0, convert_strings_to_integers = false"


@dataclass(frozen=True, kw_only=True)
class Source:
    """What there is to read."""

    path: Path
    format: str  # csv, json, ndjson, parquet, or table: csv as databases write it here
    columns: Mapping[str, str] = field(default_factory=dict)  # of a table: name -> DuckDB's type
    options: Mapping[str, Any] = field(default_factory=dict)  # of csv: delimiter, header, quote, encoding, null, types
    memory_bytes: int = 1024**3

    @property
    def buffer_bytes(self) -> int:
        return _SMALL_BUFFER if self.memory_bytes < SMALL_BYTES else _BUFFER


def query(connection: duckdb.DuckDBPyConnection, source: Source, *, whole: bool = False) -> str | None:
    """A SELECT of all of it; None where it holds nothing, not even columns. `whole`: types by the whole of a csv.

    Raises Problem, duckdb.Error.
    """
    if source.path.stat().st_size == 0:
        return None
    if source.format == "parquet":
        return f"SELECT * FROM read_parquet({text(str(source.path))})"
    if source.format in ("json", "ndjson"):
        return _json(connection, source)
    if source.format == "table":
        return _csv(source, source.columns, "allow_quoted_nulls = false")
    return _csv(source, _csv_columns(connection, source, whole=whole), "dateformat = '%Y-%m-%d'")


def csv_names(source: Source) -> list[str]:
    """The columns of a csv, by its first line. Raises Problem."""
    try:
        with closing(_lines(source)) as lines:
            options = source.options
            reader = csv.reader(
                lines, delimiter=options.get("delimiter", ","), quotechar=options.get("quote", '"'), strict=True
            )
            first = next(reader, [])
    except (csv.Error, EOFError, OSError) as error:
        raise Problem("invalid_data", f"Line 1: {error}", line=1) from None
    if not source.options.get("header", True):
        return [f"column{place}" for place in range(len(first))]
    names = [found.strip() or f"column{place}" for place, found in enumerate(first)]
    lower = [found.lower() for found in names]
    twice = next((found for found in names if lower.count(found.lower()) > 1), None)
    if twice is not None:
        raise Problem("invalid_data", f"Line 1: there are two columns {twice!r}.", line=1)
    return names


def first_bad_line(source: Source) -> int | None:
    """Of ndjson, for an error's message: DuckDB's own count is of its buffers."""
    try:
        with closing(_lines(source)) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    try:
                        json.loads(line)
                    except ValueError:
                        return number
    except (EOFError, OSError):
        return None
    return None


def _csv_columns(connection: duckdb.DuckDBPyConnection, source: Source, *, whole: bool) -> dict[str, str]:
    names = csv_names(source)
    sniffed = _sniffed(connection, source, whole=whole)
    given = source.options.get("types", {})
    unknown = sorted(set(given) - set(names))
    if unknown:
        raise Problem("unknown_column", f"There is no column {unknown[0]!r} in the source.", column=unknown[0])
    # the sniffer looks for a header until the rest fits; where it found another one the lines don't: text, and reading
    # says which line it is
    types = sniffed if len(sniffed) == len(names) else ["VARCHAR"] * len(names)
    return {found: given.get(found, kind) for found, kind in zip(names, types, strict=True)}


def _sniffed(connection: duckdb.DuckDBPyConnection, source: Source, *, whole: bool) -> list[str]:
    sample = _WHOLE if whole else _SAMPLE
    options = f"{_dialect(source)}, dateformat = '%Y-%m-%d', sample_size = {sample}"
    sql = f"SELECT Columns, HasHeader FROM sniff_csv({text(str(source.path))}, {options})"
    try:
        row = connection.execute(sql).fetchone()
    except (duckdb.InvalidInputException, duckdb.ConversionException):
        return []
    return [column["type"] for column in row[0]] if row else []


def _csv(source: Source, columns: Mapping[str, str], more: str) -> str:
    listed = ", ".join(f"{text(found)}: {text(kind)}" for found, kind in columns.items())
    size = source.buffer_bytes
    return (
        f"SELECT * FROM read_csv({text(str(source.path))}, {_dialect(source)}, auto_detect = false, "
        f"columns = {{{listed}}}, strict_mode = true, null_padding = false, buffer_size = {size}, "
        f"max_line_size = {min(size, _SMALL_BUFFER)}, {more})"
    )


def _dialect(source: Source) -> str:
    options = source.options
    quote = options.get("quote", '"')
    return (
        f"header = {str(options.get('header', True)).lower()}, skip = 0, comment = '', "
        f"delim = {text(options.get('delimiter', ','))}, quote = {text(quote)}, escape = {text(quote)}, "
        f"nullstr = {text(options.get('null', ''))}, encoding = {text(_encoding(source))}, "
        f"compression = {text(_compression(source.path))}"
    )


def _json(connection: duckdb.DuckDBPyConnection, source: Source) -> str | None:
    size = _SMALL_BUFFER if source.memory_bytes < SMALL_BYTES else _OBJECT
    kind = "array" if source.format == "json" else "newline_delimited"
    call = (
        f"read_json({text(str(source.path))}, format = '{kind}', sample_size = -1, maximum_object_size = {size}, "
        f"compression = {text(_compression(source.path))}, {_JSON_SCAN}"
    )
    try:
        found = dict(described(connection, f"SELECT * FROM {call}, records = true)"))
    except duckdb.BinderException:
        rows = connection.execute(f"SELECT count(*) FROM {call}, records = false)").fetchone()
        if rows == (0,):
            return None
        raise Problem("invalid_data", "The JSON holds other values than objects: each row is one.") from None
    except duckdb.InvalidInputException as error:
        raise json_problem(source, error) from None
    # said here, so that the file is not looked at anew each time the query is bound
    listed = ", ".join(f"{text(column)}: {text(str(kind))}" for column, kind in found.items())
    return f"SELECT * FROM {call.replace('sample_size = -1', 'auto_detect = false')}, columns = {{{listed}}})"


def json_problem(source: Source, error: duckdb.Error) -> Problem:
    """With the line, where lines are rows."""
    said = str(error).partition("\n")[0]
    if "Malformed JSON" not in said:
        return Problem("invalid_data", _without_path(said, source))
    line = first_bad_line(source) if source.format == "ndjson" else None
    reason = said.rpartition(": ")[2].rstrip(". ")
    if line is None:
        return Problem("invalid_data", f"The JSON is malformed: {reason}.")
    return Problem("invalid_data", f"Line {line}: the JSON is malformed: {reason}.", line=line)


def _without_path(said: str, source: Source) -> str:
    return said.replace(str(source.path), "the source").removeprefix("Invalid Input Error: ")


def _lines(source: Source) -> io.TextIOWrapper:
    packed = _compression(source.path)
    if packed == "zstd":
        raise OSError("the first line of a zstd file cannot be read")
    binary = gzip.open(source.path) if packed == "gzip" else open(source.path, "rb")  # noqa: SIM115  the caller closes it
    # what cannot be decoded is DuckDB's to tell, with its line: a buffer reaches further than a line
    return io.TextIOWrapper(binary, encoding=ENCODINGS[_encoding(source)], errors="replace", newline="")


def _encoding(source: Source) -> str:
    found: str = source.options.get("encoding", "utf-8")
    return found


def _compression(path: Path) -> str:
    with open(path, "rb") as file:
        magic = file.read(4)
    return "gzip" if magic.startswith(_GZIP) else "zstd" if magic == _ZSTD else "none"


def rows_of_parquet(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    """By its footer."""
    sql = f"SELECT num_rows FROM parquet_file_metadata({text(str(path))})"
    row = connection.execute(sql).fetchone()
    return int(row[0]) if row else 0


def described(connection: duckdb.DuckDBPyConnection, sql: str) -> Iterator[tuple[str, Any]]:
    """(column, type) of a SELECT."""
    relation = connection.sql(sql)
    columns: Sequence[str] = relation.columns
    yield from zip(columns, relation.types, strict=True)
