"""Small answers and validators of HTTP: enveloped JSON, bare JSON, entity tags (RFC 9110, sections 8.8 and 13)."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse

from flowforge.core import json
from flowforge.core.errors import PreconditionFailed
from flowforge.core.json import Json

JSON = "application/json"
GZIP_SUFFIX = '-gzip"'  # the gzip coding of a representation has a strong tag of its own; both name one state

_TAG = re.compile(r'\s*(W/)?("[\x21\x23-\x7e\x80-\xff]*")\s*(?:,|$)')


class Enveloped(HttpResponse):
    """`{"data": …, "meta": …}` as JSON."""

    def __init__(
        self,
        data: Json,
        meta: Mapping[str, Any] | None = None,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        content = json.dumps({"data": data, "meta": meta or {}})
        super().__init__(content, status=status, content_type=JSON, headers=dict(headers or {}))


class Bare(HttpResponse):
    """An answer without envelope: JSON of any value by default, or text and bytes of another media type as they are."""

    def __init__(
        self,
        content: Json,
        *,
        status: int = 200,
        content_type: str = JSON,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        raw = json.dumps(content) if content_type == JSON and not isinstance(content, bytes) else content
        super().__init__(raw, status=status, content_type=content_type, headers=dict(headers or {}))


def etag(representation: Json) -> str:
    """The strong tag of a representation: equal values, equal tags."""
    return f'"{hashlib.blake2b(json.canonical(representation), digest_size=12).hexdigest()}"'


def matched_strongly(header: str, tag: str) -> bool:
    """If-Match: does it name `tag`? `*` matches whatever exists; a weak tag never matches."""
    return header.strip() == "*" or any(not weak and base == tag for weak, base, _ in _tags(header))


def matched_weakly(header: str, tag: str) -> str | None:
    """If-None-Match: the tag in the header that names `tag`, as it was sent; None if there is none."""
    if header.strip() == "*":
        return tag
    return next((sent for _, base, sent in _tags(header) if base == tag), None)


def require_match(header: str | None, representation: Json) -> None:
    """Raises PreconditionFailed (412) if If-Match was sent and doesn't name the current representation."""
    if header is not None and not matched_strongly(header, etag(representation)):
        raise PreconditionFailed(detail="If-Match names another state of this resource: read it again.")


def tag_in_two(edited: Json, moving: Json) -> str:
    """A strong tag in two parts: what people edit, and what changes by itself (runs, say).

    Both make the tag, so that a client that asks with If-None-Match never misses a change of either.
    """
    return f"{etag(edited)[:-1]}.{etag(moving)[1:]}"


def names_edited(if_match: str, edited: Json) -> bool:
    """If-Match against a tag in two parts: does it name the state that an edit would change?

    Strong comparison (RFC 9110, section 13.1.1) of the first part; the gzip coding's tag names the same state.
    """
    if if_match.strip() == "*":
        return True
    return re.search(rf"(?<!W/){re.escape(etag(edited)[:-1])}\.[0-9a-f]+(?:-gzip)?\"", if_match) is not None


def _tags(header: str) -> list[tuple[bool, str, str]]:
    """(weak, tag without coding, tag as sent) of each well-formed member of the list."""
    found = []
    for match in _TAG.finditer(header):
        weak, sent = match.groups()
        base = sent.removesuffix(GZIP_SUFFIX) + '"' if sent.endswith(GZIP_SUFFIX) else sent
        found.append((weak is not None, base, sent))
    return found
