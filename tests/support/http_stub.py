"""A web server on the loopback that answers as the test says and remembers what it was asked."""

import contextlib
import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True, kw_only=True)
class Asked:
    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, kw_only=True)
class Reply:
    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    release: threading.Event | None = None  # held back until it is set: a slow answer without a sleep
    hang_up: bool = False  # closes the connection without an answer


class HttpStub:
    """`stub.reply(503); stub.reply(json={"a": 1})` scripts the next answers in order; afterwards it says 200 `{}`."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        self.asked: list[Asked] = []
        self.arrived = threading.Event()  # set with the first request
        self._replies: deque[Reply] = deque()
        self._lock = threading.Lock()

    def reply(
        self,
        status: int = 200,
        *,
        json: Any = None,
        text: str | None = None,
        headers: Mapping[str, str] | None = None,
        release: threading.Event | None = None,
        hang_up: bool = False,
    ) -> None:
        """Script one more answer."""
        kind, body = ("text/plain", text.encode()) if text is not None else ("application/json", to_json(json))
        self._replies.append(
            Reply(
                status=status,
                body=body,
                headers={"Content-Type": kind, **(headers or {})},
                release=release,
                hang_up=hang_up,
            )
        )

    def take(self, asked: Asked) -> Reply:
        """Remember the request; the answer that is next."""
        with self._lock:
            self.asked.append(asked)
            self.arrived.set()
            return self._replies.popleft() if self._replies else Reply()


def to_json(value: Any) -> bytes:
    return b"{}" if value is None else json.dumps(value).encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stub: HttpStub

    def answer(self) -> None:
        reply = self.stub.take(self.read())
        if reply.release is not None:
            reply.release.wait(30)
        self.close_connection = True
        if reply.hang_up:
            return
        with contextlib.suppress(ConnectionError):  # a client that was cancelled meanwhile
            self.write(reply)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = answer

    def read(self) -> Asked:
        address = urlsplit(self.path)
        return Asked(
            method=self.command,
            path=address.path,
            query=parse_qs(address.query, keep_blank_values=True),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(self.headers.get("Content-Length", 0))),
        )

    def write(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(reply.body)), "Connection": "close", **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: pytest shows what a failed test wants to know."""


@contextlib.contextmanager
def serve() -> Iterator[HttpStub]:
    """Run a stub on a free port until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("StubHandler", (Handler,), {}))
    stub = server.RequestHandlerClass.stub = HttpStub(server)  # type: ignore[attr-defined]  # the class made above
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
