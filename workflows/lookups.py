"""Lookups that both databases understand, and Django has for one of them alone, or not exactly."""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, Func, JSONField
from django.db.models.sql.compiler import SQLCompiler

Sql = tuple[str, tuple[str | int, ...]]


class Member(Func):
    """`Member("definition", Value("output"))`: a member of a JSON object, null if it isn't there.

    Django's own KeyTransform reads a text such as `"1"` as the number on SQLite.
    """

    template = "(%(expressions)s)"
    arg_joiner = " -> "
    output_field = JSONField()
    arity = 2


class HasItem(Func):
    """`HasItem("tags", Value("finance"))`: is the text an item of the JSON list? Used as a filter's condition."""

    output_field = BooleanField()
    arity = 2
    conditional = True

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> Sql:
        """The function behind jsonb's operator `?`, which would read as a placeholder."""
        return self.as_sql(compiler, connection, template="jsonb_exists(%(expressions)s)", **context)

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> Sql:
        template = "EXISTS (SELECT 1 FROM json_each(%(expressions)s))"
        return self.as_sql(
            compiler, connection, template=template, arg_joiner=") AS item WHERE item.value = (", **context
        )
