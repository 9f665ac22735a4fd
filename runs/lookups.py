"""Looking into JSON documents by keys of the clients' making."""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Func, TextField


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
