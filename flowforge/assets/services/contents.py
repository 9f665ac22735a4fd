"""What a version holds: a text that goes into its row, or a blob that the store has."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flowforge.assets.constants import BINARY, MAX_TEXT_BYTES, PLAIN, PROMPT, TEXTS
from flowforge.assets.models import Blob
from flowforge.assets.services import quota, storing
from flowforge.assets.services.spooling import Spooled
from flowforge.core.errors import Fault, InvalidBody
from flowforge.steps.prompts import syntax_faults


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """Content that a version can take: the one or the other."""

    size: int
    sha256: str
    text: str | None = None
    blob: Blob | None = None

    def take(self, project_id: uuid.UUID) -> None:
        """Within the transaction that writes the version. Raises QuotaExceeded (409), Conflict (409)."""
        if self.blob is None:
            quota.require_room(project_id, self.size)
        else:
            storing.keep(self.blob)


@contextmanager
def prepared(project_id: uuid.UUID, kind: str, content: Spooled, *, pointer: str = "/content") -> Iterator[Content]:
    """The content of an asset of this type, for the length of the block; outside any transaction.

    Raises InvalidBody (422, at `pointer`) for a text that is none, QuotaExceeded (409), Unavailable (503).
    """
    if kind in TEXTS:
        text = _text_of(content, kind, pointer)
        yield Content(size=content.size, sha256=content.sha256, text=text)
        return
    with storing.stored(project_id, content) as blob:
        yield Content(size=content.size, sha256=content.sha256, blob=blob)


def usual_type(kind: str) -> str:
    """The media type of content that came without one."""
    return PLAIN if kind in TEXTS else BINARY


def _text_of(content: Spooled, kind: str, pointer: str) -> str:
    if content.size > MAX_TEXT_BYTES:
        raise _invalid(pointer, "max_length", f"The text of a {kind} has at most {MAX_TEXT_BYTES} bytes.")
    try:
        text = content.path.read_bytes().decode()
    except UnicodeDecodeError:
        raise _invalid(pointer, "invalid", f"The content of a {kind} is text in UTF-8.") from None
    if "\x00" in text:
        raise _invalid(pointer, "invalid", "The text holds a NUL.")  # which databases don't agree on
    if kind == PROMPT and (faults := syntax_faults(text, pointer)):
        raise InvalidBody(faults=faults)
    return text


def _invalid(pointer: str, code: str, detail: str) -> InvalidBody:
    return InvalidBody(faults=[Fault(pointer=pointer, code=code, detail=detail)])
