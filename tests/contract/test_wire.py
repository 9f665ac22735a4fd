"""Bytes that are no request: they are answered as everything else is, and end the connection."""

import json
import re
import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn

from flowforge.cli import web, wire

HOST = b"Host: localhost\r\n"


async def _echo(scope, receive, send):
    """Answers with the size of the body."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    body = str(size).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server with our protocol, and nothing behind it but `_echo`."""
    server = uvicorn.Server(uvicorn.Config(_echo, http=wire.Protocol, lifespan="off", log_config=None, workers=1))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(10)
    listener.close()


@pytest.fixture
def send(port):
    """Send pieces of bytes; what comes back until the server closes (or, with `count`, so many answers)."""

    def exchange(*pieces: bytes, count: int | None = None) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            for piece in pieces:
                connection.sendall(piece)
            found = b""
            while count is None or len(statuses(found)) < count:
                part = connection.recv(65536)
                if not part:
                    break
                found += part
        return found

    return exchange


def statuses(raw: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", raw)]


def problem(raw: bytes) -> dict:
    """The one answer's document, once its headers are what every answer has."""
    head, _, body = raw.partition(b"\r\n\r\n")
    headers = dict(line.decode().lower().split(": ", 1) for line in head.split(b"\r\n")[1:])
    found = json.loads(body)
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-trace-id"] == found["trace_id"]
    assert headers["connection"] == "close"
    assert {"type", "title", "status", "detail", "instance", "code", "trace_id"} <= set(found)
    assert statuses(raw) == [found["status"]]
    return found | {"allow": headers.get("allow")}


def test_it_works(send):
    request = b"POST /x HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc"
    assert statuses(send(request, request, count=2)) == [200, 200]
    assert web.config().http is wire.Protocol


@pytest.mark.parametrize("method", [b"FOO", b"get", b"A" * 30])
def test_it_rejects_methods_that_nobody_knows(send, method):
    found = problem(send(method + b" /v1/workflows HTTP/1.1\r\n" + HOST + b"\r\n"))
    assert (found["status"], found["code"]) == (405, "method_not_allowed")
    assert "get" in found["allow"]


def test_it_rejects_to_be_a_proxy(send):
    assert problem(send(b"CONNECT example.com:443 HTTP/1.1\r\n" + HOST + b"\r\n"))["status"] == 405


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",  # TLS
        b"GET v1/workflows HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\n\r\n",  # no Host
        b"GET /\r\n\r\n",
        b"GET / HTTP/2.0\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"no colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: abc\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_it_rejects_what_is_no_request(send, sent):
    found = problem(send(sent))
    assert (found["status"], found["code"]) == (400, "malformed_request")


@pytest.mark.parametrize(
    "pieces",
    [
        [b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * wire.MAX_HEAD_BYTES + b"\r\n\r\n"],
        [b"GET /" + b"a" * wire.MAX_HEAD_BYTES + b" HTTP/1.1\r\n" + HOST + b"\r\n"],
        [b"GET / HTTP/1.1\r\n" + HOST, b"".join(b"X-%d: a\r\n" % number for number in range(10_000)), b"\r\n"],
    ],
)
def test_it_rejects_a_head_that_is_too_long(send, pieces):
    assert problem(send(*pieces))["status"] == 400


def test_it_rejects_a_head_that_never_ends(port):
    """It is cut off, rather than kept for as long as its sender likes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        with pytest.raises(OSError):
            connection.sendall(b"a" * 100_000_000)


def test_a_long_body_is_no_long_head(send):
    size = 4 * wire.MAX_HEAD_BYTES
    request = b"POST /x HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % size + b"a" * size
    found = send(request, request, count=2)
    assert statuses(found) == [200, 200]
    assert found.count(str(size).encode()) == 2


def test_a_good_request_has_its_answer_before_a_bad_one_ends_the_connection(send):
    good = b"POST /x HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc"
    assert statuses(send(good + b"FOO / HTTP/1.1\r\n\r\n"))[0] == 200
