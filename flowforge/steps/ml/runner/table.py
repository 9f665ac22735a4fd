"""A dataset as a table of columns: DuckDB reads csv, json, ndjson and parquet, and says what each column holds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import duckdb
import numpy as np
from numpy.typing import NDArray

from flowforge.steps.ml.runner.refusals import InvalidData, said_by

Kind = Literal["number", "boolean", "date", "text", "other"]
Numbers = NDArray[np.float64]
Objects = NDArray[np.object_]

MAX_COLUMNS: Final = 1_000
_LARGEST: Final = float(np.finfo(np.float32).max)  # trees compare in single precision
_NULLS: Final = ["", "NA", "NaN", "null", "NULL"]  # of csv, in which nothing is a null by itself
# without BOOLEAN, which takes `yes`, `no`, `t` and `f` for it, too: labels, as often as not
_TYPES: Final = ["BIGINT", "DOUBLE", "TIME", "DATE", "TIMESTAMP", "TIMESTAMPTZ", "VARCHAR"]
_READERS: Final = {
    "csv": "read_csv(?, header = true, sample_size = -1, nullstr = ?, auto_type_candidates = ?, compression = ?)",
    "json": "read_json(?, format = 'auto', sample_size = -1, compression = ?)",
    "ndjson": "read_json(?, format = 'newline_delimited', sample_size = -1, compression = ?)",
    "parquet": "read_parquet(?)",
}
_PACKED: Final = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}  # RFC 1952, 2.3.1; RFC 8878, 3.1.1
_WRITERS: Final = {
    "csv": "FORMAT csv, HEADER true",
    "json": "FORMAT json, ARRAY true",
    "ndjson": "FORMAT json",
    "parquet": "FORMAT parquet",
}
_INTEGERS: Final = (
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnType:
    """What a column holds."""

    kind: Kind
    sql: str
    is_integer: bool = False


class Table:
    """A dataset in memory; its rows keep the order of the file."""

    def __init__(self, path: Path, file_format: str) -> None:
        """Raises InvalidData on what cannot be read, has no rows, or too many columns."""
        self._connection = _connected(path.parent)
        self._read(path, file_format)
        self.columns = self._described()
        if file_format == "csv":
            self._find_booleans()
            self.columns = self._described()
        self.rows = int(self._one("SELECT count(*) FROM source"))
        if not self.rows:
            raise InvalidData("the dataset is empty: it has no rows")
        if len(self.columns) > MAX_COLUMNS:
            raise InvalidData(f"the dataset has {len(self.columns)} columns, more than {MAX_COLUMNS}")

    def _read(self, path: Path, file_format: str) -> None:
        values: list[Any] = [str(path)]
        if file_format == "csv":
            values += [_NULLS, _TYPES]
        if file_format != "parquet":
            values.append(_compression(path))
        try:
            self._connection.execute(f"CREATE TABLE source AS FROM {_READERS[file_format]}", values)
        except duckdb.OutOfMemoryException:
            raise
        except duckdb.Error as error:
            said = said_by(error).replace(str(path), "the file")
            raise InvalidData(f"the dataset cannot be read as {file_format}: {said}") from None

    def _described(self) -> dict[str, ColumnType]:
        described = self._connection.execute("DESCRIBE source").fetchall()
        return {str(name): _typed(str(sql)) for name, sql, *_ in described}

    def _find_booleans(self) -> None:
        """Of a csv: what says `true` or `false` in every row that says anything."""
        for name, found in self.columns.items():
            if found.sql != "VARCHAR":
                continue
            quoted = _quoted(name)
            says_so = f"lower({quoted}) IN ('true', 'false')"
            if self._one(f"SELECT bool_and({says_so}) FROM source"):  # noqa: S608  quoted
                self._connection.execute(f"ALTER TABLE source ALTER {quoted} TYPE BOOLEAN")

    def numbers(self, name: str) -> Numbers:
        """Numbers, booleans as 0 and 1, dates as days since 1970-01-01; NaN where there is none.

        Infinity is none, either. Raises InvalidData on numbers that single precision cannot hold.
        """
        if self.is_void(name):
            return np.full(self.rows, np.nan)
        quoted = _quoted(name)
        value = f"epoch({quoted}) / 86400" if self.columns[name].kind == "date" else quoted
        found = self._column(f"CAST({value} AS DOUBLE)")
        numbers: Numbers = np.ma.filled(np.ma.asarray(found, dtype=np.float64), np.nan)
        numbers[np.isinf(numbers)] = np.nan
        if np.nanmax(np.abs(numbers), initial=0.0) > _LARGEST:
            raise InvalidData(f"the column {name!r} has numbers beyond {_LARGEST:.1e}", column=name)
        return numbers

    def texts(self, name: str) -> Objects:
        """Its values as text, None where there is none."""
        found: Any = np.ma.asarray(self._column(f"CAST({_quoted(name)} AS VARCHAR)"), dtype=object)
        texts: Objects = np.array(found.data)
        texts[np.ma.getmaskarray(found)] = None  # `filled` would take None for "the usual"
        return texts

    def is_void(self, name: str) -> bool:
        """Whether it has no value at all: what it holds is anybody's guess then."""
        return not self._one(f"SELECT count({_quoted(name)}) FROM source")  # noqa: S608  quoted

    def write(self, path: Path, file_format: str, added: dict[str, NDArray[Any]]) -> None:
        """The table with more columns, as a file in the same folder as the dataset."""
        self._connection.register("added", added)
        told = f"TO {_literal(path)} ({_WRITERS[file_format]})"
        self._connection.execute(f"COPY (FROM source POSITIONAL JOIN added) {told}")

    def _column(self, expression: str) -> Any:
        return self._connection.execute(f"SELECT {expression} AS value FROM source").fetchnumpy()["value"]  # noqa: S608  quoted

    def _one(self, query: str) -> Any:
        row = self._connection.execute(query).fetchone()
        return row[0] if row else None


def _connected(folder: Path) -> duckdb.DuckDBPyConnection:
    """What it may touch is the step's own folder; without extensions it knows no other way out."""
    found = duckdb.connect(
        config={"threads": 1, "autoinstall_known_extensions": False, "autoload_known_extensions": False}
    )
    found.execute(f"SET allowed_directories = [{_literal(folder)}]")
    found.execute("SET enable_external_access = false")
    return found


def _compression(path: Path) -> str:
    """By what the file begins with: its name here is ours."""
    with path.open("rb") as file:
        start = file.read(4)
    return next((name for magic, name in _PACKED.items() if start.startswith(magic)), "none")


def _literal(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _typed(sql: str) -> ColumnType:
    if sql in _INTEGERS:
        return ColumnType(kind="number", sql=sql, is_integer=True)
    if sql in ("FLOAT", "DOUBLE") or sql.startswith("DECIMAL"):
        return ColumnType(kind="number", sql=sql)
    if sql == "BOOLEAN":
        return ColumnType(kind="boolean", sql=sql)
    if sql == "DATE" or sql.startswith("TIMESTAMP"):
        return ColumnType(kind="date", sql=sql)
    if sql in ("VARCHAR", "UUID") or sql.startswith("ENUM"):
        return ColumnType(kind="text", sql=sql)
    return ColumnType(kind="other", sql=sql)
