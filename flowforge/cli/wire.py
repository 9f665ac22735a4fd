"""HTTP as it comes off the wire: uvicorn's protocol, with an end to the length of heads and problems for bad bytes.

What can't be parsed never becomes a request, so no middleware sees it; it is answered here as everything else is.
"""

import re
from http import HTTPStatus
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from flowforge.api import problems
from flowforge.api.middleware import METHODS
from flowforge.core import json
from flowforge.core.errors import FlowForgeError, MalformedRequest, MethodNotAllowed
from flowforge.telemetry import trace

MAX_HEAD_BYTES: Final = 64 * 1024  # request line and headers
LINGER_SECONDS: Final = 2.0
LINGER_BYTES: Final = 1024 * 1024
_VERSIONS: Final = ("1.0", "1.1")
_REQUEST_LINE: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\S+) HTTP/1\.[01]\r?\n")  # RFC 9112, 3


class Protocol(HttpToolsProtocol):
    """One connection."""

    _received = b""  # what came last, to tell an unknown method from nonsense
    _head_is_open = False
    _head_bytes = 0  # of an open head, save its first piece
    _refusal: FlowForgeError | None = None
    _is_refused = False
    _lingered_bytes = 0

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            self._linger(data)
            return
        self._received = data
        goes_on = self._head_is_open
        super().data_received(data)
        if goes_on and self._head_is_open and not self._is_refused:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(_head_too_long())

    def on_message_begin(self) -> None:
        self._head_is_open, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head_is_open = False
        self._refusal = self._refusal_of_head()
        if self._refusal is not None:
            raise self._refusal  # the parser ends there, and the base calls `send_400_response`
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(self._refusal or _refusal_of(self._received, msg))

    def _refusal_of_head(self) -> FlowForgeError | None:
        """What is wrong with a head that could be parsed, if anything."""
        version = self.parser.get_http_version()
        if version not in _VERSIONS:
            return MalformedRequest(detail=f"HTTP/1.1 is spoken here, not HTTP/{version}.")
        if version == "1.1" and all(name != b"host" for name, _ in self.headers):
            return MalformedRequest(detail="The Host header is missing.")  # RFC 9112, 3.2
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_BYTES:
            return _head_too_long()
        return None

    def _refuse(self, error: FlowForgeError) -> None:
        """Answer and close; if a whole request came before, its own answer is the last one.

        Closed at once, with bytes unread, the connection would be reset, and the client might never see the answer
        (RFC 9112, 9.6): what still comes is read for a while and dropped.
        """
        if self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete:
            self.cycle.keep_alive = False
            self.flow.pause_reading()
            return
        self._is_refused = True
        self.transport.write(_answer(error, self.server_state.default_headers))
        if self.transport.can_write_eof():  # not under TLS
            self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _linger(self, data: bytes) -> None:
        self._lingered_bytes += len(data)
        if self._lingered_bytes > LINGER_BYTES:
            self.transport.abort()


def _head_too_long() -> MalformedRequest:
    return MalformedRequest(detail=f"The request line and headers have more than {MAX_HEAD_BYTES} bytes.")


def _refusal_of(received: bytes, why: str) -> FlowForgeError:
    """A method that nobody knows is well-formed; the parser takes it for nonsense."""
    line = _REQUEST_LINE.match(received)
    if line is not None and line[1].decode() not in METHODS:
        return MethodNotAllowed(headers={"Allow": ", ".join(METHODS)})
    return MalformedRequest(detail=why)


def _answer(error: FlowForgeError, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    """The whole response: a problem, in a trace of its own."""
    with trace.using(trace.begin()) as here:
        body = json.dumps(problems.document(error, "*"))  # the path is part of what could not be read
    headers = {
        "content-type": problems.MEDIA_TYPE,
        "content-length": str(len(body)),
        "cache-control": "no-store",
        "x-trace-id": here.trace_id,
        "connection": "close",
        **error.headers,
    }
    lines = [f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}".encode()]
    lines += [name + b": " + value for name, value in default_headers]
    lines += [f"{name}: {value}".encode() for name, value in headers.items()]
    return b"\r\n".join([*lines, b"", body])
