"""A call as it came, and what expressions see of it: `payload`, `headers`, `query`, `event`."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from urllib.parse import parse_qsl

from flowforge.core import json
from flowforge.core.errors import MalformedRequest, UnsupportedMediaType
from flowforge.core.json import Json, JsonError
from flowforge.core.redaction import MASK, is_sensitive
from webhooks import constants

_JSON: Final = ("application/json", "text/json", "")
_FORM: Final = "application/x-www-form-urlencoded"
_TEXT: Final = ("application/xml", "application/yaml", "application/x-ndjson")
_MAX_FIELDS: Final = 1_000  # of a form
_MAX_HEADERS: Final = 64
_MAX_HEADER_LENGTH: Final = 2_048
_EVENT_HEADERS: Final = {constants.GITHUB: "x-github-event"}


@dataclass(frozen=True, kw_only=True)
class Incoming:
    """A call, live or taken again from its row; what it holds is bounded and without secrets but for the body."""

    headers: Mapping[str, str]  # names in lower case
    query: Mapping[str, Json]  # a text, or a list of those that were given more than once
    content_type: str
    body: bytes

    @cached_property
    def payload(self) -> Json:
        """The body as its content type reads it. Raises MalformedRequest (400), UnsupportedMediaType (415)."""
        media_type = self.content_type.partition(";")[0].strip().lower()
        if media_type in _JSON or media_type.endswith("+json"):
            return _json(self.body)
        if media_type == _FORM:
            return _form(self.body)
        if media_type.startswith("text/") or media_type in _TEXT or media_type.endswith("+xml"):
            return _text(self.body)
        raise UnsupportedMediaType(detail="JSON, form and text bodies are read here.")

    @cached_property
    def body_hash(self) -> str:
        return hashlib.sha256(self.body).hexdigest()

    def event(self, scheme: str) -> str | None:
        """What the sender calls it: GitHub's header, Stripe's `type`, Slack's `event.type`, else `type` or `event`."""
        header = _EVENT_HEADERS.get(scheme, "x-event")
        found: Json = self.headers.get(header)
        payload = self.payload
        if found is None and isinstance(payload, Mapping):
            inner = payload.get("event")
            within = inner.get("type") if isinstance(inner, Mapping) else inner
            found = within or payload.get("type") if scheme == constants.SLACK else payload.get("type") or within
        return found[: constants.MAX_EVENT_LENGTH] if isinstance(found, str) and found else None

    def scope(self, scheme: str) -> dict[str, Json]:
        """What expressions see."""
        return {
            "payload": self.payload,
            "headers": self.headers,
            "query": self.query,
            "event": self.event(scheme),
        }


def kept_headers(headers: Mapping[str, str], signatures: Collection[str]) -> dict[str, str]:
    """The headers that rows keep and expressions see: bounded, credentials masked, signatures left out."""
    kept: dict[str, str] = {}
    for name, value in headers.items():
        if len(kept) >= _MAX_HEADERS:
            break
        lower = name.lower()
        if lower not in signatures:
            kept[lower] = MASK if is_sensitive(lower) else _storable(value)
    return kept


def kept_query(lists: Mapping[str, list[str]]) -> dict[str, Json]:
    """The same of the query string."""
    found: dict[str, Json] = {}
    for name, values in list(lists.items())[:_MAX_HEADERS]:
        texts = [MASK if is_sensitive(name) else _storable(value) for value in values[:_MAX_HEADERS]]
        found[_storable(name)] = texts[0] if len(texts) == 1 else texts
    return found


def _storable(text: str) -> str:
    cleaned: str = json.sanitize(text[:_MAX_HEADER_LENGTH])[0]
    return cleaned


def _json(body: bytes) -> Json:
    try:
        return json.loads(body)
    except JsonError as error:
        raise MalformedRequest(detail=f"The body isn't acceptable JSON: {error}.") from None


def _text(body: bytes) -> str:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise MalformedRequest(detail=f"The body is not UTF-8 at byte {error.start}.") from None
    if "\x00" in text:
        raise MalformedRequest(detail="The body holds a NUL.")
    return text


def _form(body: bytes) -> dict[str, Json]:
    """Fields as texts; one that is given more than once as a list."""
    found: dict[str, Json] = {}
    try:
        pairs = parse_qsl(_text(body), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError:
        raise MalformedRequest(detail="The body is no form.") from None
    for name, value in pairs:
        if "\x00" in name or "\x00" in value:
            raise MalformedRequest(detail="The body holds a NUL.")
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    return found
