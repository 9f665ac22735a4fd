"""Rendered values as steps read them: what counts as true, and how a value is written as text."""

from flowforge.core import json
from flowforge.core.json import Json


def truth(value: Json) -> bool:
    """As Python's, but the texts `false` and "" (in any case, spaces aside) are false."""
    if isinstance(value, str):
        return value.strip().lower() not in ("", "false")
    return bool(value)


def text(value: Json) -> str:
    """A string as it is, anything else as its JSON: `true`, `null`, `3`, `{"a":1}`."""
    return value if isinstance(value, str) else json.canonical(value).decode()


def holds_expression(value: object) -> bool:
    """Is this a string that is rendered before the step runs?"""
    return isinstance(value, str) and "{{" in value
