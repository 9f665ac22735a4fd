"""No test reaches beyond this machine: connecting or resolving elsewhere fails the test, even if the code hides it."""

import contextlib
import ipaddress
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

UNRESOLVABLE = (".invalid", ".test")  # RFC 6761: never resolve, so that tests may name hosts that don't exist


class NetworkForbidden(OSError):
    """A test tried to leave this machine."""


@contextlib.contextmanager
def guard(patch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Within the block only the loopback can be reached; gives the list of what was tried all the same."""
    tried: list[str] = []
    connect, connect_ex, resolve = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def guarded(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(sock: socket.socket, address: Any) -> Any:
            if sock.family in (socket.AF_INET, socket.AF_INET6) and not is_loopback(address[0]):
                tried.append(f"connect to {address[0]}")
                raise NetworkForbidden(f"tests must not connect to {address[0]}")
            return original(sock, address)

        return call

    def guarded_resolve(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name and name.rstrip(".").endswith(UNRESOLVABLE):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if name and not is_address(name) and name != "localhost":
            tried.append(f"resolve {name}")
            raise NetworkForbidden(f"tests must not resolve {name}")
        return resolve(host, *args, **kwargs)

    patch.setattr(socket.socket, "connect", guarded(connect))
    patch.setattr(socket.socket, "connect_ex", guarded(connect_ex))
    patch.setattr(socket, "getaddrinfo", guarded_resolve)
    yield tried


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.split("%")[0])
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host.split("%")[0]).is_loopback)
