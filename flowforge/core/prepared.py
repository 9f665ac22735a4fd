"""Statements that are asked all the time."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
from django.db import connection

Statement = tuple[str, Sequence[Any]]
"""Text and parameters."""


@contextmanager
def prepared() -> Iterator[Any]:
    """A cursor whose statements PostgreSQL plans once for each connection (`prepare_threshold` in settings.py).

    Django's own interpolates values on our side, so that each is a new statement: planning one costs more than most
    take. Texts should be few: what varies in number is one array (`= ANY(%s)`). Where queries are logged it is
    Django's, which does that.
    """
    if connection.vendor != "postgresql" or connection.queries_logged:
        with connection.cursor() as cursor:
            yield cursor
        return
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        yield cursor


def execute_prepared(asked: Sequence[Statement]) -> list[list[tuple[Any, ...]]]:
    """The rows of statements that all return some. PostgreSQL's alone: within a pipeline of libpq's they are sent
    without waiting for any answer but the last."""
    with connection.wrap_database_errors, ExitStack() as stack:
        cursors = [stack.enter_context(psycopg.Cursor(connection.connection)) for _ in asked]
        for each, (text, parameters) in zip(cursors, asked, strict=True):
            each.execute(text.encode(), parameters)
        return [each.fetchall() for each in cursors]
