"""What the server does before there is a request: bodies, upgrades."""

from collections.abc import Iterable
from typing import Any

from tests.support.asgi import Header, exchange


def posted(*parts: bytes, headers: Iterable[Header] = ()) -> dict[str, Any]:
    """The start of the answer to a body in so many parts."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    received = [*messages, {"type": "http.request", "body": b""}]
    return exchange("http", "POST", "/v1/open", headers, received)[0]


def test_it_works(settings):
    assert posted(b"[1,", b"2]")["status"] == 200


def test_it_rejects_a_body_that_goes_on_and_on(settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    assert posted(*[b" " * 5] * 3)["status"] == 413


def test_it_rejects_a_body_that_is_too_large_before_it_is_sent(settings):
    """A client that asks with `Expect: 100-continue` gets its answer instead of leave: the body is not asked for."""
    length = str(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1).encode()
    headers = [(b"expect", b"100-continue"), (b"content-length", length)]
    start, _ = exchange("http", "POST", "/v1/open", headers, [])
    assert start["status"] == 413
    assert (b"connection", b"close") in start["headers"]


def test_it_rejects_an_upgrade_as_it_would_a_get():
    start, body = exchange("websocket", "GET", "/v1/streams", [], [{"type": "websocket.connect"}])
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 404)
    assert (b"content-type", b"application/problem+json") in start["headers"]
    assert b'"not_found"' in body["body"]
