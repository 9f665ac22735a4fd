"""The rows that worker processes write of themselves, read from outside."""

import contextlib
import json
import sqlite3
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import psycopg

COLUMNS = ("name", "pid", "isolation", "pools", "steps_count", "hints_count", "draining_at", "stopped_at")


@dataclass(frozen=True, kw_only=True)
class WorkerRow:
    name: str
    pid: int
    isolation: str
    pools: dict[str, Any]
    steps_count: int
    hints_count: int
    draining_at: Any
    stopped_at: Any

    @property
    def life(self) -> str:
        if self.stopped_at is not None:
            return "stopped"
        return "working" if self.draining_at is None else "draining"


def workers_of(url: str) -> list[WorkerRow]:
    """Every worker that has registered in a database, sqlite:///… or postgresql://…, oldest first."""
    query = f"SELECT {', '.join(COLUMNS)} FROM workers_worker ORDER BY started_at, name"
    if url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(f"file:{urlsplit(url).path[1:]}?mode=ro", uri=True)) as found:
            rows = found.execute(query).fetchall()
    else:
        with psycopg.connect(url) as connection:
            rows = connection.execute(query).fetchall()
    return [_row(dict(zip(COLUMNS, row, strict=True))) for row in rows]


def _row(values: dict[str, Any]) -> WorkerRow:
    pools = values["pools"]
    return WorkerRow(**values | {"pools": json.loads(pools) if isinstance(pools, str) else pools})
