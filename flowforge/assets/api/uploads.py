"""Content coming in: as `content` of a JSON body, as the one file of a form, or as the body itself.

Nobody but this code says where a file is: names that clients send are read by nobody.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, cast

from django.core.files.uploadhandler import FileUploadHandler
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from rest_framework.request import Request

from flowforge.assets.constants import MAX_JSON_BODY_BYTES, PIECE_BYTES, PLAIN
from flowforge.assets.services import spooling
from flowforge.assets.services.spooling import Spool, Spooled
from flowforge.core import json
from flowforge.core.errors import BodyTooLarge, Fault, InvalidBody, MalformedRequest, UnsupportedMediaType
from flowforge.core.json import JsonError

JSON, FORM = "application/json", "multipart/form-data"
_AS_JSON: Final = frozenset({"metadata"})  # fields of a form that hold JSON


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    """A body that has come, whole."""

    fields: Mapping[str, Any]  # as they were sent: unchecked
    content: Spooled | None
    content_type: str | None = None  # what was said of the file
    pointer: str = "/content"  # where the content stood

    @property
    def digest(self) -> bytes:
        """What tells it from another."""
        fields = json.canonical({"fields": dict(self.fields), "content_type": self.content_type})
        return fields + b"\x00" + (self.content.sha256.encode() if self.content else b"")


@contextmanager
def received(request: Request, *, as_body: bool = False) -> Iterator[Upload]:
    """The body of a request, its content in the spool for the length of the block.

    `as_body`: whatever is neither a form nor forbidden is the content itself. Raises MalformedRequest (400),
    BodyTooLarge (413), UnsupportedMediaType (415), InvalidBody (422).
    """
    if request.META.get("HTTP_CONTENT_ENCODING", "").strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType(detail="Send the body as it is.", headers={"Accept-Encoding": "identity"})
    essence = str(request.META.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower()
    _check_length(request)
    with spooling.spool() as spool:
        if essence == FORM:
            yield _form(request, spool)
        elif as_body:
            yield _whole(request, spool, essence)
        elif essence in (JSON, ""):
            yield _json(request, spool)
        else:
            taken = {"Accept": f"{JSON}, {FORM}"}
            raise UnsupportedMediaType(detail=f"Send {JSON} or {FORM}.", headers=taken)


def _check_length(request: Request) -> None:
    """What says itself that it is too large need not come: the file's own bound holds as they come."""
    declared = str(request.META.get("CONTENT_LENGTH") or "0")
    limit = spooling.limit() + MAX_JSON_BODY_BYTES  # with what stands around the file
    if declared.isdigit() and int(declared) > limit:
        raise BodyTooLarge(detail=f"The body has {declared} bytes; {spooling.limit()} may be uploaded.")


def _whole(request: Request, spool: Spool, essence: str) -> Upload:
    come = spooling.spooled(spool, _pieces(request.read))
    return Upload(fields={}, content=come, content_type=essence or None, pointer="")


def _json(request: Request, spool: Spool) -> Upload:
    raw = request.read(MAX_JSON_BODY_BYTES + 1)
    if len(raw) > MAX_JSON_BODY_BYTES:
        raise BodyTooLarge(detail=f"A JSON body has at most {MAX_JSON_BODY_BYTES} bytes; send more as a file.")
    if not raw.strip():
        raise MalformedRequest(detail="The body is empty; JSON or a form is expected.")
    try:
        fields = json.loads(raw)
    except JsonError as error:
        raise MalformedRequest(detail=f"The body isn't acceptable JSON: {error}.") from error
    if not isinstance(fields, dict):
        raise InvalidBody(faults=[Fault(pointer="", code="invalid", detail="An object is expected.")])
    if "content" not in fields:
        return Upload(fields=fields, content=None)
    return Upload(fields=fields, content=_text(fields.pop("content"), spool), content_type=PLAIN)


def _text(content: object, spool: Spool) -> Spooled:
    if not isinstance(content, str):
        raise InvalidBody(faults=[Fault(pointer="/content", code="invalid", detail="A text is expected.")])
    return spooling.spooled(spool, [content.encode()])


def _form(request: Request, spool: Spool) -> Upload:
    file = _OneFile(spool)
    described = {"CONTENT_TYPE": request.META["CONTENT_TYPE"], "CONTENT_LENGTH": "1"}  # not 0: Django would not read
    try:
        bounded = cast(Any, _Bounded(request.read))  # of a file's methods Django's parser calls but this one
        posted, _ = MultiPartParser(described, bounded, [file], "utf-8").parse()
    except MultiPartParserError as error:
        raise MalformedRequest(detail=f"The form cannot be read: {error}"[:300]) from error
    if file.is_broken:
        raise MalformedRequest(detail="The form ended before it was whole.")
    fields = {name: _field(name, posted.getlist(name)) for name in posted}
    content = file.come
    if "content" in fields:
        if content is not None:
            raise InvalidBody(faults=[Fault(pointer="/content", code="one_of", detail="Send content or file.")])
        return Upload(fields=fields, content=_text(fields.pop("content"), spool), content_type=PLAIN)
    return Upload(fields=fields, content=content, content_type=file.said_type or None, pointer="/file")


def _field(name: str, values: list[Any]) -> Any:
    if len(values) != 1:
        raise InvalidBody(faults=[Fault(pointer=f"/{name}", code="repeated", detail="Send this field once.")])
    if name not in _AS_JSON:
        return values[0]
    try:
        return json.loads(values[0].encode())
    except JsonError as error:
        raise InvalidBody(faults=[Fault(pointer=f"/{name}", code="invalid", detail=f"JSON: {error}.")]) from error


class _Bounded:
    """A body that cannot go on for ever around its file."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._left = spooling.limit() + MAX_JSON_BODY_BYTES

    def read(self, size: int | None = None, /) -> bytes:
        piece = self._read(PIECE_BYTES if size is None else size)
        self._left -= len(piece)
        if self._left < 0:
            raise BodyTooLarge(detail=f"The form is larger than the {spooling.limit()} bytes that may be uploaded.")
        return piece


class _OneFile(FileUploadHandler):
    """Django's parser tells it of files; the first named `file` goes to the spool, any other is a fault."""

    chunk_size = PIECE_BYTES

    def __init__(self, spool: Spool) -> None:
        super().__init__()
        self._spool = spool
        self._begun = False
        self.come: Spooled | None = None
        self.said_type = ""

    @property
    def is_broken(self) -> bool:
        return self._begun and self.come is None

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        if self.field_name != "file":
            detail = "There is no such field."
            raise InvalidBody(faults=[Fault(pointer=f"/{self.field_name}", code="unknown_field", detail=detail)])
        if self._begun:
            raise InvalidBody(faults=[Fault(pointer="/file", code="repeated", detail="Send one file.")])
        self._begun, self.said_type = True, (self.content_type or "").partition(";")[0].strip().lower()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self._spool.write(raw_data)

    def file_complete(self, file_size: int) -> None:
        self.come = self._spool.finish()


def _pieces(read: Callable[[int], bytes]) -> Iterator[bytes]:
    while piece := read(PIECE_BYTES):
        yield piece
