"""What SQLite and PostgreSQL want of parameters, and give back."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from flowforge.core import json
from flowforge.core.json import Json
from flowforge.core.prepared import Statement, execute_prepared

LIVE = "('pending', 'running', 'retrying', 'waiting')"  # statuses of steps
LIVE_RUNS = "('pending', 'running', 'waiting', 'paused')"

# what the index `step_items` holds, in its own words: SQLite uses a partial index only where they stand in the query
OPEN_ITEMS = "NOT (\"index\" = -1) AND status IN ('pending', 'running', 'retrying', 'waiting', 'failed')"

_INSERT_CHUNK = 400  # rows a statement


@cache
def is_postgres() -> bool:
    return connection.vendor == "postgresql"


def uuid_in(value: uuid.UUID | None) -> uuid.UUID | str | None:
    """PostgreSQL has uuid; on SQLite Django keeps 32 hex digits."""
    return value if value is None or is_postgres() else value.hex


def uuid_out(value: uuid.UUID | str) -> uuid.UUID:
    return value if isinstance(value, uuid.UUID) else uuid.UUID(value)


def time_in(value: datetime | None) -> datetime | str | None:
    """SQLite keeps UTC as text, as Django writes it: `2026-01-01 12:00:00.123456`."""
    if value is None or is_postgres():
        return value
    if value.tzinfo is not UTC:
        value = value.astimezone(UTC)
    return value.isoformat(" ", "microseconds")[:26]


def time_out(value: datetime | str | None) -> datetime | None:
    """Aware, in UTC: SQLite's columns come as naive values, or as text where an expression made them."""
    if value is None:
        return None
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def json_in(value: Json) -> str | None:
    """None is SQL NULL: in the engine's columns null and absent are one."""
    return None if value is None else json.text(value)


def json_out(value: Json) -> Json:
    """Text on SQLite; psycopg has parsed jsonb already, unless Django asked it for text."""
    return json.loads_trusted(value) if isinstance(value, (str, bytes)) else value


@contextmanager
def write() -> Iterator[CursorWrapper]:
    """A short write transaction: on SQLite it holds the write lock from its beginning (BEGIN IMMEDIATE)."""
    with transaction.atomic(), connection.cursor() as cursor:
        yield cursor


def ask_in_turn(asked: Sequence[Statement]) -> list[list[tuple[Any, ...]]]:
    """The rows of each statement, within a transaction; on PostgreSQL they are sent without waiting for any answer
    but the last, and prepared (`core.prepared`)."""
    if not is_postgres():
        rows = []
        with connection.cursor() as cursor:
            for text, parameters in asked:
                cursor.execute(text, parameters)
                rows.append(cursor.fetchall())
        return rows
    connection.ensure_connection()
    with connection.wrap_database_errors, connection.connection.pipeline():
        return execute_prepared(asked)


def lock_suffix() -> str:
    """`FOR UPDATE` where rows can be locked; SQLite's immediate transaction has locked them all."""
    return " FOR UPDATE" if is_postgres() else ""


def insert_many(cursor: CursorWrapper, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows: one prepared statement on SQLite, few multi-row statements (round trips) on PostgreSQL."""
    names = ", ".join(f'"{column}"' for column in columns)
    marks = f"({', '.join(['%s'] * len(columns))})"
    if not is_postgres():
        cursor.executemany(f"INSERT INTO {table} ({names}) VALUES {marks}", rows)
        return
    for start in range(0, len(rows), _INSERT_CHUNK):
        chunk = rows[start : start + _INSERT_CHUNK]
        values = ", ".join([marks] * len(chunk))
        parameters = [value for row in chunk for value in row]
        cursor.execute(f"INSERT INTO {table} ({names}) VALUES {values}", parameters)


def in_list(values: Sequence[Any]) -> str:
    """`(%s, %s, …)` for so many values."""
    return f"({', '.join(['%s'] * len(values))})"


def chosen_by(query: str) -> str:
    """A condition for the rows whose ids a query gives. Of an array PostgreSQL expects ten ids, and looks them up
    (`random_page_cost` in settings.py); a join it may make by reading the whole table."""
    return f"id = ANY(ARRAY({query}))" if is_postgres() else f"id IN ({query})"


def any_of(run_ids: Sequence[uuid.UUID]) -> tuple[str, list[Any]]:
    """` = ANY(%s)` and its values: on PostgreSQL one array, so that the statement is the same for any number."""
    if is_postgres():
        return "= ANY(%s)", [list(run_ids)]
    return f"IN {in_list(run_ids)}", [uuid_in(run_id) for run_id in run_ids]
