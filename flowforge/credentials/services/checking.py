"""Whether what a client sent makes a credential of its type."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from flowforge.core.egress import EgressError, checked_url
from flowforge.core.errors import Fault
from flowforge.core.pointers import escape
from flowforge.credentials.constants import AWS, DATABASE, HEADER, MAX_VALUE_LENGTH, OAUTH2, SHAPES, TOKEN
from flowforge.credentials.services.sealing import Data

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2: a token
_HEADER_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_OWN_HEADERS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection"})  # the client's to set


def faults_of(kind: str, data: Mapping[str, Any]) -> list[Fault]:
    """Everything wrong with a type's data, below `/data`. No detail quotes a value: it may be a secret."""
    return [fault.under("/data") for fault in (*_members(kind, data), *_together(kind, data))]


def _members(kind: str, data: Mapping[str, Any]) -> Iterator[Fault]:
    shape = SHAPES[kind]
    for name in shape.required:
        if name not in data:
            yield Fault(pointer=f"/{name}", code="required", detail="This field is required.")
    for name, value in data.items():
        at = f"/{escape(name)}"
        if name not in shape.fields:
            detail = f"A credential of the type {kind} holds {', '.join(shape.fields)}."
            yield Fault(pointer=at, code="unknown_field", detail=detail)
        elif name == "port":
            if type(value) is not int or not 1 <= value <= 65_535:
                yield Fault(pointer=at, code="invalid", detail="A port is a number from 1 to 65535.")
        elif not isinstance(value, str) or not value:
            yield Fault(pointer=at, code="invalid", detail="A text is expected that is not empty.")
        elif len(value) > MAX_VALUE_LENGTH:
            yield Fault(pointer=at, code="max_length", detail=f"At most {MAX_VALUE_LENGTH} characters.")


def _together(kind: str, data: Mapping[str, Any]) -> Iterator[Fault]:
    if kind == TOKEN:
        yield from _sendable(data, "token")
    elif kind == HEADER:
        name = data.get("name")
        if isinstance(name, str) and (not _HEADER_NAME.fullmatch(name) or name.lower() in _OWN_HEADERS):
            yield Fault(pointer="/name", code="invalid", detail="This is no header that can be set.")
        yield from _sendable(data, "value")
    elif kind == OAUTH2:
        yield from _url(data, "token_url")
    elif kind == AWS:
        yield from _url(data, "endpoint_url")
    elif kind == DATABASE and not ("url" in data or "password" in data):
        yield Fault(pointer="", code="required", detail="Give url, or password with what goes with it.")


def _sendable(data: Data, name: str) -> Iterator[Fault]:
    """What goes into a header is printable ASCII: a line break would begin another one."""
    value = data.get(name)
    if isinstance(value, str) and value and not _HEADER_VALUE.fullmatch(value):
        detail = "It is sent in a header: printable ASCII characters, no spaces around them."
        yield Fault(pointer=f"/{name}", code="invalid", detail=detail)


def _url(data: Data, name: str) -> Iterator[Fault]:
    value = data.get(name)
    if not isinstance(value, str) or not value:
        return
    try:
        checked_url(value)
    except EgressError as error:
        yield Fault(pointer=f"/{name}", code="invalid_url", detail=str(error))
