"""Looking into JSON documents by keys of the clients' making."""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, F, Func, TextField
from django.db.models.expressions import RawSQL


class MemberText(Func):
    """`MemberText(F("metadata"), Value("customer"))`: a member of a JSON object as text, null if it isn't there.

    Numbers and booleans are spelled as JSON does. Django's own KeyTransform takes keys such as `2024` for indexes.
    """

    function = "jsonb_extract_path_text"
    output_field = TextField()
    arity = 2

    def as_sqlite(self, compiler: Any, connection: BaseDatabaseWrapper, **context: Any) -> tuple[str, Any]:
        return super().as_sql(
            compiler, connection, template=_SQLITE, arg_joiner=") AS member WHERE member.key = (", **context
        )


_SQLITE = """(SELECT CASE member.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false'
    ELSE CAST(member.value AS TEXT) END FROM json_each(%(expressions)s))"""


# Without a parameter: SQLite uses a partial index only where the query's own text proves that it fits.
IS_WAITING = RawSQL("runs_steprun.status = 'waiting'", (), output_field=BooleanField())


class IsFor(Func):
    """`IsFor(F("then"), "alice", "operator")`: an approval's assignees are empty or hold one of the names."""

    output_field = BooleanField()

    def __init__(self, then: F, *names: str) -> None:
        super().__init__(then)
        self._names = names

    def as_sql(  # type: ignore[override]  # of Func's many options it has none
        self, compiler: Any, connection: BaseDatabaseWrapper
    ) -> tuple[str, list[str]]:
        column, _ = compiler.compile(self.source_expressions[0])
        template = _FOR_POSTGRES if connection.vendor == "postgresql" else _FOR_SQLITE
        return template.format(then=column, names=", ".join(["%s"] * len(self._names)) or "NULL"), list(self._names)


_FOR_POSTGRES = """(COALESCE(jsonb_array_length({then} #> '{{asks,assignees}}'), 0) = 0 OR EXISTS (
    SELECT 1 FROM jsonb_array_elements_text({then} #> '{{asks,assignees}}') AS one(name)
    WHERE one.name IN ({names})))"""
_FOR_SQLITE = """(COALESCE(json_array_length({then}, '$.asks.assignees'), 0) = 0 OR EXISTS (
    SELECT 1 FROM json_each({then}, '$.asks.assignees') AS one
    WHERE one.value IN ({names})))"""
