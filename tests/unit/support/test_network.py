"""The guard that keeps tests on this machine."""

import socket

import pytest

from tests.support.network import NetworkForbidden, guard, is_loopback


def test_it_works() -> None:
    with pytest.MonkeyPatch.context() as patch, guard(patch) as tried:
        with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
            client.connect(server.getsockname())
        assert socket.getaddrinfo("127.0.0.1", 80)
    assert tried == []


def test_it_rejects_what_lies_elsewhere() -> None:
    with pytest.MonkeyPatch.context() as patch, guard(patch) as tried, socket.socket() as client:
        with pytest.raises(NetworkForbidden):
            client.connect(("192.0.2.1", 80))
        with pytest.raises(NetworkForbidden):
            client.connect_ex(("192.0.2.1", 80))
        with pytest.raises(NetworkForbidden):
            socket.getaddrinfo("example.org", 443)
    assert tried == ["connect to 192.0.2.1", "connect to 192.0.2.1", "resolve example.org"]


def test_it_rejects_reserved_names_as_the_resolver_would() -> None:
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("nowhere.invalid", 80)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("10.0.0.1", False), ("example.org", False)],
)
def test_it_knows_the_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
