"""Secrets that are easy to find again, and where to look for them."""

import base64
from urllib.parse import quote

from django.db import connection


def spellings(secret: str) -> tuple[str, ...]:
    """A secret as it may turn up."""
    raw = secret.encode()
    return (secret, base64.b64encode(raw).decode(), quote(secret, safe=""), raw.hex())


def stored() -> str:
    """Every cell of every table: what a dump of the database holds."""
    cells = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')
            cells += [cell for row in cursor.fetchall() for cell in row]
    return "\n".join(
        bytes(cell).decode("latin-1") if isinstance(cell, (bytes, memoryview)) else str(cell) for cell in cells
    )


def found(secret: str, text: str) -> list[str]:
    """The spellings of the secret that stand in the text: none, where it was kept."""
    return [spelling for spelling in spellings(secret) if spelling in text]
