"""Stored runs by the hundred thousand: copies of real ones, rows and all, made inside the database.

The copies are a second apart and end before the measurement begins; their ids are UUIDv7 of their moment, as those of
real runs are, so that every index grows as it would have.
"""

import contextlib
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg

from tests.bench.stacks import FlowForge

STEP_MS = 1000  # between two copies
NUMBERS = "WITH RECURSIVE numbers(k) AS (SELECT {first} UNION ALL SELECT k + 1 FROM numbers WHERE k < {last})"


class Seed(ABC):
    """Copies runs; knows its database's words for ids and moments."""

    def __init__(self, capacity: int) -> None:
        self.base = int(time.time() * 1000) - (capacity + 60) * STEP_MS  # moment of the first copy, in milliseconds

    @contextlib.contextmanager
    @abstractmethod
    def cursor(self) -> Iterator[Any]:
        """One transaction, as fast as the database can."""

    @abstractmethod
    def id_of(self, kind: int) -> str:
        """SQL: the id of copy `k`; `kind` 0 is the run, the others its steps."""

    @abstractmethod
    def moment(self) -> str:
        """SQL: when copy `k` was created."""

    @abstractmethod
    def finish(self) -> None:
        """What the database does by itself once so much was written."""

    def copy(self, run: str, first: int, last: int) -> None:
        """Copies `first` to `last`, both included, of a run that is there, with its steps and events."""
        with self.cursor() as cursor:
            run_key = self._one(cursor, f"SELECT id FROM runs_run WHERE id = '{self.key(run)}'")
            steps = self._all(cursor, f"SELECT id FROM runs_steprun WHERE run_id = '{run_key}' ORDER BY position")
            kinds = {str(step): self.id_of(place) for place, step in enumerate(steps, 1)}
            cases = " ".join(f"WHEN '{step}' THEN {kind}" for step, kind in kinds.items())
            numbers = NUMBERS.format(first=first, last=last)
            self._insert(cursor, numbers, "runs_run", f"id = '{run_key}'", id=self.id_of(0), created_at=self.moment())
            for step, kind in kinds.items():
                self._insert(cursor, numbers, "runs_steprun", f"id = '{step}'", id=kind, run_id=self.id_of(0))
            step_id = f"CASE step_id {cases} END" if cases else "NULL"
            where = f"run_id = '{run_key}'"
            self._insert(cursor, numbers, "runs_runevent", where, run_id=self.id_of(0), step_id=step_id)

    def key(self, run: str) -> str:
        """A run's id as the database keeps it."""
        return run

    def _insert(self, cursor: Any, numbers: str, table: str, where: str, **changed: str) -> None:
        cursor.execute(f"SELECT * FROM {table} WHERE 1 = 0")
        columns = [column[0] for column in cursor.description]
        quoted = ", ".join(f'"{column}"' for column in columns)
        values = ", ".join(changed.get(column, f'"{column}"') for column in columns)
        source = f"{numbers} SELECT {values} FROM numbers CROSS JOIN {table} WHERE {where}"
        cursor.execute(f"INSERT INTO {table} ({quoted}) {source}")

    @staticmethod
    def _one(cursor: Any, sql: str) -> Any:
        cursor.execute(sql)
        return cursor.fetchone()[0]

    @staticmethod
    def _all(cursor: Any, sql: str) -> Sequence[Any]:
        cursor.execute(sql)
        return [row[0] for row in cursor.fetchall()]


class SqliteSeed(Seed):
    def __init__(self, path: Path, capacity: int) -> None:
        super().__init__(capacity)
        self.path = path

    @contextlib.contextmanager
    def cursor(self) -> Iterator[Any]:
        with contextlib.closing(sqlite3.connect(self.path, timeout=60, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("PRAGMA cache_size = -500000")
            connection.execute("BEGIN IMMEDIATE")
            yield connection.cursor()
            connection.execute("COMMIT")

    def key(self, run: str) -> str:
        return run.replace("-", "")

    def id_of(self, kind: int) -> str:
        return f"printf('%012x7%03x8%015x', {self.base} + k * {STEP_MS}, {kind}, k)"

    def moment(self) -> str:
        return f"strftime('%Y-%m-%d %H:%M:%f', ({self.base} + k * {STEP_MS}) / 1000.0, 'unixepoch')"

    def finish(self) -> None:
        with contextlib.closing(sqlite3.connect(self.path, timeout=60)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


class PostgresSeed(Seed):
    def __init__(self, url: str, capacity: int) -> None:
        super().__init__(capacity)
        self.url = url

    @contextlib.contextmanager
    def cursor(self) -> Iterator[Any]:
        with psycopg.connect(self.url) as connection, connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = off")
            yield cursor

    def id_of(self, kind: int) -> str:
        moment = f"lpad(to_hex({self.base}::bigint + k::bigint * {STEP_MS}), 12, '0')"
        return f"({moment} || '7' || lpad(to_hex({kind}), 3, '0') || '8' || lpad(to_hex(k), 15, '0'))::uuid"

    def moment(self) -> str:
        return f"to_timestamp(({self.base}::bigint + k::bigint * {STEP_MS}) / 1000.0)"

    def finish(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE) runs_run, runs_steprun, runs_runevent")
            connection.execute("CHECKPOINT")


def seed_of(system: FlowForge, capacity: int) -> Seed:
    """For the database of a stack that is set up; at most `capacity` copies."""
    url = system.variables.get("DATABASE_URL")
    if url:
        return PostgresSeed(url, capacity)
    return SqliteSeed(Path(system.variables["FLOWFORGE_HOME"]) / "flowforge.sqlite3", capacity)
