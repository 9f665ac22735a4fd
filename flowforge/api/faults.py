"""DRF's nested error details as faults by JSON pointer (RFC 6901)."""

from collections.abc import Iterator
from typing import Any

from rest_framework.settings import api_settings

from flowforge.core.errors import Fault


def pointer(*path: str | int) -> str:
    """`pointer("nodes", 3, "a/b")` is `/nodes/3/a~1b`."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def faults_of(detail: Any, prefix: str = "") -> list[Fault]:
    """Every fault in a ValidationError's detail: lists of messages, dicts by field or index, nested at will."""
    return list(_walk(detail, prefix))


def _walk(detail: Any, at: str) -> Iterator[Fault]:
    if isinstance(detail, dict):
        for name, inner in detail.items():
            whole = name == api_settings.NON_FIELD_ERRORS_KEY
            yield from _walk(inner, at if whole else at + pointer(name))
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            # a list of dicts is one entry per item of the document's list; a list of texts is about this place
            yield from _walk(inner, at + pointer(index) if isinstance(inner, dict) else at)
    else:
        yield Fault(pointer=at, code=getattr(detail, "code", None) or "invalid", detail=str(detail))
