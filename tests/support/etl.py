"""An `etl` step without an engine: `run` it, have it `fail`; files of rows in each format."""

import json
from pathlib import Path
from typing import Any

import duckdb

from flowforge.steps.base import Completed, Failed
from flowforge.steps.etl.step import Etl
from tests.support.steps import Attempt

ROWS: list[dict[str, Any]] = [{"a": 1, "b": "x"}, {"a": 2, "b": None}, {"a": 3, "b": 'q"u,o\nte'}]


def run(attempt: Attempt, source: str, target: str, **config: Any) -> Any:
    outcome = attempt.run(Etl(), {"source_url": source, "target_url": target, **config})
    assert isinstance(outcome, Completed), outcome
    return outcome.output


def fail(attempt: Attempt, source: str, target: str, **config: Any) -> Failed:
    outcome = attempt.run(Etl(), {"source_url": source, "target_url": target, **config})
    assert isinstance(outcome, Failed), outcome
    return outcome


def transform(attempt: Attempt, content: str, transformation: Any, **config: Any) -> list[dict[str, Any]]:
    """Rows that a transformation makes of a csv, or of JSON where the content begins so."""
    format = "json" if content.startswith("[") else "csv"
    (attempt.file_roots[0] / "in").write_text(content)
    run(attempt, "file://in", "file://out.json", format=format, transformation=transformation, **config)
    rows: list[dict[str, Any]] = json.loads((attempt.file_roots[0] / "out.json").read_text())
    return rows


def refuse(attempt: Attempt, content: str, transformation: Any = None, **config: Any) -> Failed:
    (attempt.file_roots[0] / "in").write_text(content)
    return fail(
        attempt, "file://in", "file://out.json", transformation=transformation or [], **{"format": "csv", **config}
    )


def write(path: Path, format: str, rows: list[dict[str, Any]] = ROWS) -> None:
    text = json.dumps(rows)
    if format == "json":
        path.write_text(text)
        return
    (path.parent.parent / "draft.json").write_text(text)
    options = {"csv": "FORMAT csv, HEADER", "ndjson": "FORMAT json", "parquet": "FORMAT parquet"}[format]
    duckdb.execute(f"COPY (FROM read_json('{path.parent.parent}/draft.json')) TO '{path}' ({options})")


def read(path: Path, format: str) -> list[dict[str, Any]]:
    reader = {"csv": "read_csv", "json": "read_json", "ndjson": "read_json", "parquet": "read_parquet"}[format]
    found = duckdb.sql(f"FROM {reader}('{path}')")
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
