"""The guarded client against real sockets."""

import gzip
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from flowforge.core.egress import (
    AddressPolicy,
    Answer,
    ConnectionFailed,
    Egress,
    EgressCancelled,
    EgressRefused,
    EgressTimeout,
    InvalidRequest,
    Outgoing,
    ResponseTooLarge,
    egress,
)
from flowforge.steps.base import CancelToken
from tests.support.http_stub import HttpStub

LOOPBACK = AddressPolicy.parse(["127.0.0.0/8"])


@contextmanager
def client(policy: AddressPolicy = LOOPBACK, answers: Sequence[Sequence[str]] = (("127.0.0.1",),)) -> Iterator[Egress]:
    """A client whose resolver gives each of `answers` in turn, the last one for ever."""
    left = list(answers)

    def resolve(host: str, port: int) -> Sequence[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    made = Egress(policy, resolve)
    try:
        yield made
    finally:
        made.close()


def get(made: Egress, url: str, cancel: CancelToken | None = None, **more: object) -> Answer:
    return made.send(Outgoing(method="GET", url=url, **more), cancel)


class RawServer:
    """Sends `first` at once, then `rest` byte by byte as fast as they are taken, and keeps the connection open."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = chunks
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.asked = threading.Event()
        self.ended = threading.Event()
        self.connections = 0
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                self.answer(connection)

    def answer(self, connection: socket.socket) -> None:
        try:
            while connection.recv(65_536):
                self.asked.set()
                for chunk in self.chunks:
                    connection.sendall(chunk)
        except OSError:
            pass
        self.ended.set()

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


@contextmanager
def raw_server(*chunks: bytes) -> Iterator[RawServer]:
    server = RawServer(*chunks)
    try:
        yield server
    finally:
        server.close()


def test_it_works(stub: HttpStub) -> None:
    stub.reply(201, json={"a": 1}, headers={"X-Two": "1"})
    with client() as made:
        outgoing = Outgoing(method="POST", url=f"{stub.url}/p?q=1", headers={"X-Mine": "yes"}, body=b"body")
        answer = made.send(outgoing)
    assert (answer.status, answer.body, answer.headers["x-two"]) == (201, b'{"a": 1}', "1")
    (asked,) = stub.asked
    assert (asked.method, asked.path, asked.body, asked.headers["x-mine"]) == ("POST", "/p", b"body", "yes")
    assert asked.headers["host"] == stub.url.removeprefix("http://")


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("ftp://example.com/", EgressRefused),
        ("file:///etc/passwd", EgressRefused),
        ("gopher://127.0.0.1:6379/_", EgressRefused),
        ("http+unix://%2Fvar%2Frun%2Fdocker.sock/", EgressRefused),
        ("//example.com/", EgressRefused),
        ("http://user@example.com/", EgressRefused),
        ("http://:word@example.com/", EgressRefused),
        ("http://example.com\\@127.0.0.1/", EgressRefused),
        ("http:///path", InvalidRequest),
        ("http://[::1", InvalidRequest),
        ("http://a b/", InvalidRequest),
        ("http://a\r\nX: y/", InvalidRequest),
        ("http://①②⑦.0.0.1/", InvalidRequest),
    ],
)
def test_it_rejects_urls(url: str, error: type[Exception]) -> None:
    with client(AddressPolicy(everything=True)) as made, pytest.raises(error):
        get(made, url)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://[0:0:0:0:0:ffff:7f00:1]/",
        "http://0.0.0.0/",
        "https://169.254.169.254/latest/meta-data/",
        "http://8.8.8.8:22/",
    ],
)
def test_it_rejects_literal_addresses(url: str) -> None:
    with client(AddressPolicy()) as made, pytest.raises(EgressRefused) as refused:
        get(made, url)
    assert refused.value.code == "target_refused"


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["8.8.8.8", "fe80::1%2"]])
def test_it_rejects_what_a_name_resolves_to(addresses: list[str]) -> None:
    with client(AddressPolicy(), [addresses]) as made, pytest.raises(EgressRefused):
        get(made, "https://looks-public.test/")


def test_it_rejects_a_name_without_addresses() -> None:
    with client(answers=[[]]) as made, pytest.raises(ConnectionFailed, match=r"nowhere\.test: no such host"):
        get(made, "http://nowhere.test/")


def test_a_second_answer_of_the_resolver_changes_nothing(stub: HttpStub) -> None:
    """DNS rebinding: allowed when it is checked, private when it is connected to."""
    port = int(stub.url.rpartition(":")[2])
    with client(answers=[["127.0.0.1"], ["169.254.169.254"]]) as made:
        assert get(made, f"http://rebinding.test:{port}/").status == 200
        assert stub.asked[0].headers["host"] == f"rebinding.test:{port}"
        with pytest.raises(EgressRefused):  # a new connection is a new question
            get(made, f"http://rebinding.test:{port}/")


def test_the_next_address_is_tried_where_one_does_not_answer(stub: HttpStub) -> None:
    with client(answers=[["127.0.0.99", "127.0.0.1"]]) as made:
        assert get(made, f"http://two.test:{stub.url.rpartition(':')[2]}/").status == 200


# --- redirects ----------------------------------------------------------------------------------------------------


def test_redirects_are_answers_unless_asked_for(stub: HttpStub) -> None:
    stub.reply(302, headers={"Location": "/elsewhere"})
    with client() as made:
        assert get(made, stub.url).status == 302


@pytest.mark.parametrize(
    "location", ["http://169.254.169.254/", "//10.0.0.1/", "http://[::1]/", "file:///etc/passwd", "http://a:b@c.test/"]
)
def test_each_hop_is_checked(stub: HttpStub, location: str) -> None:
    stub.reply(302, headers={"Location": location})
    with client() as made, pytest.raises(EgressRefused):
        get(made, stub.url, follow_redirects=True)
    assert len(stub.asked) == 1


def test_three_redirects_and_no_more(stub: HttpStub) -> None:
    with client() as made:
        for _ in range(3):
            stub.reply(301, headers={"Location": "next"})
        assert get(made, stub.url, follow_redirects=True).status == 200
        for _ in range(4):
            stub.reply(301, headers={"Location": "next"})
        with pytest.raises(ConnectionFailed, match="more than 3 redirects"):
            get(made, stub.url, follow_redirects=True)


def test_secrets_stay_with_their_origin(stub: HttpStub) -> None:
    headers = {"Authorization": "Bearer x", "Cookie": "a=b", "X-API-Key": "k", "X-Trace": "t"}
    port = stub.url.rpartition(":")[2]
    stub.reply(302, headers={"Location": "/same"})
    stub.reply(302, headers={"Location": f"http://other.test:{port}/"})
    with client() as made:
        get(made, stub.url, headers=headers, follow_redirects=True)
    same, other = stub.asked[1:]
    assert {"authorization", "cookie", "x-api-key", "x-trace"} <= same.headers.keys()
    assert other.headers.keys().isdisjoint({"authorization", "cookie", "x-api-key"})
    assert other.headers["x-trace"] == "t"


# --- bounds -------------------------------------------------------------------------------------------------------


def test_a_body_is_bounded(stub: HttpStub) -> None:
    with client() as made:
        stub.reply(text="x" * 1000)
        assert len(get(made, stub.url, max_bytes=1000).body) == 1000
        stub.reply(text="x" * 1001)
        with pytest.raises(ResponseTooLarge):
            get(made, stub.url, max_bytes=1000)


def test_a_body_is_bounded_after_decompression() -> None:
    bomb = gzip.compress(bytes(20_000_000))
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n".encode()
    with raw_server(head, bomb) as server, client() as made, pytest.raises(ResponseTooLarge):
        get(made, server.url)


def test_compression_is_undone() -> None:
    body = gzip.compress(b"hello")
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with raw_server(head, body) as server, client() as made:
        assert get(made, server.url).body == b"hello"


@pytest.mark.parametrize(
    "answer",
    [
        b"not http at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 200_000 + b"\r\n\r\n",
    ],
)
def test_it_rejects_answers_that_are_none(answer: bytes) -> None:
    with raw_server(answer) as server, client() as made, pytest.raises(ConnectionFailed):
        get(made, server.url)


@pytest.mark.parametrize("header", [("X", "canary\r\nY: b"), ("X Y", "canary"), ("X", "canary\0"), ("", "canary")])
def test_it_rejects_headers_and_keeps_their_values_to_itself(stub: HttpStub, header: tuple[str, str]) -> None:
    with client() as made, pytest.raises(InvalidRequest) as refused:
        get(made, stub.url, headers=dict([header]))
    assert "canary" not in repr(refused.value)
    assert stub.asked == []


def test_the_deadline_is_for_all_of_it() -> None:
    """A server that sends a byte now and then never runs into a timeout for each read."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"
    with raw_server(head, *[b"x"] * 1_000_000) as server, client() as made:
        started = time.monotonic()
        with pytest.raises(EgressTimeout, match=r"within 0\.2 s"):
            get(made, server.url, timeout_seconds=0.2, max_bytes=10**9)
        assert time.monotonic() - started < 5


def test_the_deadline_holds_for_a_resolver_too() -> None:
    release = threading.Event()

    def resolve(host: str, port: int) -> Sequence[str]:
        release.wait(30)
        return ["127.0.0.1"]

    with pytest.raises(EgressTimeout):
        Egress(LOOPBACK, resolve).send(Outgoing(method="GET", url="http://slow.test/", timeout_seconds=0.05))
    release.set()


# --- cancelling ---------------------------------------------------------------------------------------------------


def cancel_when(event: threading.Event, token: CancelToken) -> None:
    threading.Thread(target=lambda: event.wait(10) and token.cancel("cancelled")).start()


@pytest.mark.parametrize("chunks", [[], [b"HTTP/1.1 200 OK\r\n"], [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"]])
def test_cancelling_ends_a_blocked_read_at_once(chunks: list[bytes]) -> None:
    token = CancelToken()
    with raw_server(*chunks) as server, client() as made:
        cancel_when(server.asked, token)
        with pytest.raises(EgressCancelled):
            get(made, server.url, token)
        assert server.ended.wait(10)  # the other side saw the connection close


@pytest.mark.parametrize(("scheme", "body"), [("http", bytes(50_000_000)), ("https", None)])
def test_cancelling_ends_a_blocked_write_and_a_tls_handshake(scheme: str, body: bytes | None) -> None:
    token, begun, over = CancelToken(), threading.Event(), threading.Event()

    def accept_and_never_read() -> None:
        with listener.accept()[0]:
            begun.set()
            over.wait(30)

    with socket.create_server(("127.0.0.1", 0)) as listener, client() as made:
        accepting = threading.Thread(target=accept_and_never_read)
        accepting.start()
        cancel_when(begun, token)
        url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(EgressCancelled):
            made.send(Outgoing(method="POST", url=url, body=body), token)
        over.set()
        accepting.join()


def test_cancelling_ends_a_resolver() -> None:
    release, asked, token = threading.Event(), threading.Event(), CancelToken()

    def resolve(host: str, port: int) -> Sequence[str]:
        asked.set()
        release.wait(30)
        return ["127.0.0.1"]

    cancel_when(asked, token)
    with pytest.raises(EgressCancelled):
        Egress(LOOPBACK, resolve).send(Outgoing(method="GET", url="http://slow.test/"), token)
    release.set()


def test_cancelled_before_it_began_it_asks_nobody(stub: HttpStub) -> None:
    token = CancelToken()
    token.cancel("cancelled")
    with client() as made, pytest.raises(EgressCancelled):
        get(made, stub.url, token)
    assert stub.asked == []


def test_cancelling_a_finished_call_leaves_its_connection_alone() -> None:
    token = CancelToken()
    with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") as server, client() as made:
        assert get(made, server.url, token).body == b"ok"
        token.cancel("cancelled")
        assert get(made, server.url).body == b"ok"
        assert server.connections == 1


# --- connections --------------------------------------------------------------------------------------------------


def test_connections_are_kept_and_cookies_are_not() -> None:
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\nok"
    with raw_server(answer) as server, client() as made:
        assert [get(made, server.url).body for _ in range(5)] == [b"ok"] * 5
        assert server.connections == 1


def test_cookies_of_one_caller_are_not_sent_by_another(stub: HttpStub) -> None:
    stub.reply(headers={"Set-Cookie": "session=1; Path=/"})
    with client() as made:
        get(made, stub.url)
        get(made, stub.url)
    assert "cookie" not in stub.asked[1].headers


def test_the_environment_is_not_asked(stub: HttpStub, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")
    with client() as made:
        assert get(made, stub.url).status == 200


def test_a_certificate_has_to_be_one(stub: HttpStub) -> None:
    """A plain server is no TLS server; that certificates are verified is the default of the context in use."""
    with client() as made, pytest.raises(ConnectionFailed):
        get(made, stub.url.replace("http:", "https:"))
    context = egress()._pool._ssl_context
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_one_client_for_one_policy() -> None:
    assert egress(["a"]) is egress(("A.",))
    assert egress(["a"]) is not egress([])
