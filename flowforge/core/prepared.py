"""Statements that are asked all the time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection


@contextmanager
def prepared() -> Iterator[Any]:
    """A cursor whose statements PostgreSQL plans once for each connection (`prepare_threshold` in settings.py).

    Django's own interpolates values on our side, so that each is a new statement: planning one costs more than most
    take. Texts should be few: what varies in number is one array (`= ANY(%s)`).
    """
    if connection.vendor != "postgresql":
        with connection.cursor() as cursor:
            yield cursor
        return
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        yield cursor
