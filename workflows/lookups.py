"""A lookup that both databases understand, and Django has for one of them alone."""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, Func


class HasItem(Func):
    """`HasItem("tags", Value("finance"))`: is the text an item of the JSON list? Used as a filter's condition."""

    output_field = BooleanField()
    arity = 2
    conditional = True

    def as_sql(self, compiler: Any, connection: BaseDatabaseWrapper, **context: Any) -> tuple[str, Any]:
        """PostgreSQL: jsonb's containment of a text, written `?`; by its function, as `?` reads as a placeholder."""
        return super().as_sql(compiler, connection, template="jsonb_exists(%(expressions)s)", **context)

    def as_sqlite(self, compiler: Any, connection: BaseDatabaseWrapper, **context: Any) -> tuple[str, Any]:
        template = "EXISTS (SELECT 1 FROM json_each(%(expressions)s)"
        return super().as_sql(
            compiler, connection, template=f"{template})", arg_joiner=") AS item WHERE item.value = (", **context
        )
