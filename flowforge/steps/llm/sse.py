"""Server-sent events (WHATWG HTML, 9.2), of which both providers' streams are made."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

MAX_EVENT_BYTES: Final = 1024 * 1024


class EventTooLarge(Exception):
    """An event, or a line, of more than MAX_EVENT_BYTES."""


@dataclass(frozen=True, slots=True)
class SentEvent:
    """One event; `name` is "" where none was given."""

    name: str
    data: bytes


def events(chunks: Iterable[bytes]) -> Iterator[SentEvent]:
    """The events of a stream, each as soon as it is complete; one that is cut off is none. Raises EventTooLarge."""
    name, size = "", 0
    data: list[bytes] = []
    for line in _lines(chunks):
        size += len(line)
        if size > MAX_EVENT_BYTES:
            raise EventTooLarge
        if not line:
            if data:
                yield SentEvent(name, b"\n".join(data))
            name, data, size = "", [], 0
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *complete, rest = (rest + chunk).split(b"\n")
        if len(rest) > MAX_EVENT_BYTES:
            raise EventTooLarge
        yield from (line.removesuffix(b"\r") for line in complete)
