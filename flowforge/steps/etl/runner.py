"""The child of an `etl` step: reads a request from standard input, writes the result to FLOWFORGE_RESULT_FD.

Request: `{"source", "transformation", "target", "memory_bytes", "disk_bytes", "temporary"}`; result: `{"rows_read",
"rows_written", "schema"}`, or `{"code", "message", "details"}`. What it prints is the step's log.
"""

import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb

from flowforge.steps.data.duck import Problem, closed_in, name, opened, problem_of
from flowforge.steps.data.reading import Source, json_problem, query, rows_of_parquet
from flowforge.steps.etl import writing
from flowforge.steps.etl.shaping import shaped
from flowforge.steps.etl.transformation import ROW_KEEPING

_PROGRESS_SECONDS: Final = 1.0
_FILE_SCANS: Final = ("READ_CSV", "READ_JSON", "READ_NDJSON")
_FRESH: Final = ".fresh"


class Work:
    """One request."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        memory = request["memory_bytes"]
        found = request["source"]
        self.source = Source(
            path=Path(found["path"]),
            format=found["format"],
            columns=found.get("columns", {}),
            options=found.get("options", {}),
            memory_bytes=memory,
        )
        self.target = writing.Target(request["target"], memory)
        self.fresh = Path(f"{self.target.path}{_FRESH}")
        self.steps: Sequence[tuple[str, Any]] = [(step, argument) for step, argument in request["transformation"]]
        temporary = Path(request["temporary"])
        temporary.mkdir(exist_ok=True)
        self.connection = opened(memory_bytes=memory, temporary=temporary, temporary_bytes=request["disk_bytes"])

    def done(self) -> dict[str, Any]:
        """Raises Problem."""
        paths = [self.source.path, self.target.path, self.fresh]
        closed_in(self.connection, paths if self.target.existing is None else [*paths, self.target.existing])
        try:
            return self._done(whole=False)
        except duckdb.ConversionException as error:
            if self.source.format != "csv" or problem_of(error).details.get("line") is None:
                raise
        # a type that the sample suggested is not that of a later row
        print("The types of the columns are looked for in the whole file.", flush=True)  # noqa: T201  the step's log
        return self._done(whole=True)

    def _done(self, *, whole: bool) -> dict[str, Any]:
        base = query(self.connection, self.source, whole=whole)
        if base is None:
            writing.write_nothing(self.target)
            return {"rows_read": 0, "rows_written": 0, "schema": []}
        shape = shaped(self.connection, base, self.steps)
        columns = writing.columns_of(self.connection, shape)
        if self.target.existing is None:
            select = f"SELECT {writing.projected(columns, self.target.format)} FROM ({shape})"
            written = self._copy(select, self.target, header=self.target.options.get("header", True))
        else:
            written = self._appended(shape, columns)
        return {
            "rows_read": self._rows_read(written),
            "rows_written": written,
            "schema": [{"name": column, "type": str(kind)} for column, kind in columns],
        }

    def _appended(self, shape: str, columns: Sequence[tuple[str, Any]]) -> int:
        existing = writing.existing_columns(self.connection, self.target)
        if existing:
            writing.require_same(existing, columns)
        if self.target.format == "parquet":
            return self._rewritten(shape, columns, existing)
        order = writing.names_in_order(self.target, existing)
        select = f"SELECT {writing.projected(columns, self.target.format, order)} FROM ({shape})"
        fresh = writing.Target(
            {"path": str(self.fresh), "format": self.target.format, "options": self.target.options},
            self.target.memory_bytes,
        )
        written = self._copy(select, fresh, header=not existing and self.target.options.get("header", True))
        writing.joined(self.target, self.fresh)
        return written

    def _rewritten(self, shape: str, columns: Sequence[tuple[str, Any]], existing: Sequence[tuple[str, Any]]) -> int:
        """Parquet cannot be appended to: all rows anew."""
        source = writing.existing_source(self.target)
        before = rows_of_parquet(self.connection, source.path) if source is not None else 0
        select = f"SELECT {writing.projected(columns, 'parquet')} FROM ({shape})"
        if source is not None:
            casts = ", ".join(f"CAST({name(column)} AS {kind}) AS {name(column)}" for column, kind in existing)
            base = query(self.connection, source)
            select = f"{base} UNION ALL SELECT {casts} FROM ({select})"
        return self._copy(select, self.target, header=False) - before

    def _copy(self, select: str, target: writing.Target, *, header: bool) -> int:
        with _progress(self.connection, self.source.path):
            return writing.copy(self.connection, select, target, header=header)

    def _rows_read(self, written: int) -> int:
        """By the footer of a parquet; else by what the scan gave, which ends early where a LIMIT is reached."""
        if self.source.format == "parquet":
            return rows_of_parquet(self.connection, self.source.path)
        if all(step in ROW_KEEPING for step, _ in self.steps):
            return written
        profile = json.loads(self.connection.get_profiling_information())
        return max((rows for root in profile["operator"] for rows in _scanned(root)), default=0)


def _scanned(operator: Mapping[str, Any]) -> Iterator[int]:
    if operator["type"] == "TABLE_SCAN" and operator["name"].startswith(_FILE_SCANS):
        yield operator["intermediate_rows"]
    for child in operator.get("children", ()):
        yield from _scanned(child)


@contextmanager
def _progress(connection: duckdb.DuckDBPyConnection, path: Path) -> Iterator[None]:
    """A line a second at most, while there is something new to say."""
    over = threading.Event()
    size = path.stat().st_size

    def tell() -> None:
        last = -1
        while not over.wait(_PROGRESS_SECONDS):
            percent = int(connection.query_progress())
            if percent > last:
                last = percent
                done = size * percent // 100
                print(f"{percent} %: {done // 1024**2} of {size // 1024**2} MiB read", flush=True)  # noqa: T201  the step's log

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """The result, or what went wrong."""
    source: Source | None = None
    try:
        work = Work(request)
        source = work.source
        return work.done()
    except duckdb.Error as error:
        problem = problem_of(error)
        if source is not None and source.format in ("json", "ndjson") and "JSON" in str(error):
            problem = json_problem(source, error)
    except Problem as found:
        problem = found
    except MemoryError:
        problem = Problem("out_of_memory", "The step's memory does not suffice.")
    return {"code": problem.code, "message": problem.message, "details": problem.details}


def main() -> None:
    result_fd = int(os.environ.pop("FLOWFORGE_RESULT_FD"))
    os.set_inheritable(result_fd, False)
    found = json.dumps(answer(json.load(sys.stdin))).encode()
    with os.fdopen(result_fd, "wb") as result:
        result.write(found)
