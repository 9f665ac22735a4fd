"""Rows as the driver gives and takes them: the hot paths of reading and of starting runs.

`raw(queryset, RunRow)` is an ordinary queryset to filter, order and slice; what it gives are `RunRow`s. A row type is
a NamedTuple whose fields are field paths of the model.
"""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, cached_property
from operator import attrgetter
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, CharField, FloatField, IntegerField, Model, QuerySet, TextField, UUIDField
from django.db.models.query import BaseIterable

from flowforge.core.prepared import prepared

R = TypeVar("R", bound=tuple[Any, ...])

Prepare = Callable[[Any, Any], Any]

_PLACEHOLDER = uuid.UUID(int=0)
_PLAIN = (CharField, TextField, IntegerField, FloatField, BooleanField)  # Python's values are the database's


def raw(queryset: QuerySet[Any, Any], row_type: type[R]) -> QuerySet[Any, R]:
    """The queryset, giving rows of `row_type`."""
    found = queryset.values_list(*_columns(row_type))
    found._iterable_class = _iterable_of(row_type)
    return found


class ByKey(Generic[R]):
    """A query that is always the same but for a key: compiled once, since compiling costs more than SQLite's answer.

    `queryset` builds it for a key, beside which it holds constants alone.
    """

    def __init__(self, row_type: type[R], queryset: Callable[[uuid.UUID], QuerySet[Any, Any]]) -> None:
        self._row_type = row_type
        self._queryset = queryset

    def rows(self, key: uuid.UUID) -> list[R]:
        sql, places = self._compiled
        mine = _parameter(key)
        with prepared() as cursor:
            cursor.execute(sql, [mine if place is None else place for place in places])
            return [self._row_type(*row) for row in cursor.fetchall()]

    @cached_property
    def _compiled(self) -> tuple[str, list[Any]]:
        """The statement and its parameters, None where the key goes."""
        sql, params = self._queryset(_PLACEHOLDER).values_list(*_columns(self._row_type)).query.sql_with_params()
        placeholder = _parameter(_PLACEHOLDER)
        return sql, [None if param == placeholder else param for param in params]


def insert_rows(*groups: Sequence[Model]) -> None:
    """Insert instances, all of their columns, within a transaction: `bulk_create`, compiled once. Each group is of one
    model; on PostgreSQL they are sent together, and prepared."""
    database = connections[DEFAULT_DB_ALIAS]  # itself: its proxy looks for it at every touch
    with _sending(database) as cursor:
        for instances in groups:
            if instances:
                _insert_into(cursor, database, instances)


def _insert_into(cursor: Any, database: BaseDatabaseWrapper, instances: Sequence[Model]) -> None:
    sql, columns = _insert(type(instances[0]))
    rows = [
        [value(each) if prepare is None else prepare(value(each), database) for value, prepare in columns]
        for each in instances
    ]
    if len(rows) == 1:
        cursor.execute(sql, rows[0])
    else:
        cursor.executemany(sql, rows)
    for each in instances:
        each._state.adding, each._state.db = False, DEFAULT_DB_ALIAS


@contextmanager
def _sending(database: BaseDatabaseWrapper) -> Iterator[Any]:
    if database.vendor != "postgresql" or database.queries_logged:
        with database.cursor() as cursor:
            yield cursor
        return
    with prepared() as cursor, database.connection.pipeline():
        yield cursor


@cache
def _insert(model: type[Model]) -> "tuple[str, list[tuple[attrgetter[Any], Prepare | None]]]":
    """The statement, and for each column how its value is read, and made one for the database if it is none yet."""
    fields = model._meta.local_concrete_fields
    names = ", ".join(connection.ops.quote_name(field.column or "") for field in fields)
    marks = ", ".join(["%s"] * len(fields))
    columns: list[tuple[attrgetter[Any], Prepare | None]] = [
        (attrgetter(field.attname), None if isinstance(field, _PLAIN) else field.get_db_prep_save) for field in fields
    ]
    return f"INSERT INTO {connection.ops.quote_name(model._meta.db_table)} ({names}) VALUES ({marks})", columns  # noqa: S608  names of the model


def _columns(row_type: type[R]) -> tuple[str, ...]:
    columns: tuple[str, ...] = row_type._fields  # type: ignore[attr-defined]  # a NamedTuple: no type says just that
    return columns


@cache
def _iterable_of(row_type: type[R]) -> "type[BaseIterable[R]]":
    """What a queryset iterates with: as Django's ValuesListIterable, without converting values."""

    class RawIterable(BaseIterable):  # type: ignore[type-arg]  # generic in the stubs alone
        def __iter__(self) -> Iterator[R]:
            compiler = self.queryset.query.get_compiler(self.queryset.db)
            for chunk in compiler.execute_sql(chunked_fetch=self.chunked_fetch, chunk_size=self.chunk_size):
                for row in chunk:
                    yield row_type(*row)

    return RawIterable


def _parameter(key: uuid.UUID) -> Any:
    return UUIDField().get_db_prep_value(key, connection)
