"""Sockets for the HTTP library: resolved, checked and connected here, so that it cannot connect anywhere else."""

import ipaddress
import select
import socket
import ssl
import threading
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

import httpcore2

from flowforge.core.egress.addresses import WEB_PORTS, AddressPolicy
from flowforge.core.egress.call import Call, current_call
from flowforge.core.egress.errors import ConnectionFailed, EgressRefused

Resolve = Callable[[str, int], Sequence[str]]


def resolve(host: str, port: int) -> list[str]:
    """All addresses of a host, as the system's resolver gives them. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Backend(httpcore2.NetworkBackend):
    """Connects to checked addresses alone; has no unix sockets."""

    def __init__(self, policy: AddressPolicy, resolve: Resolve) -> None:
        self._policy = policy
        self._resolve = resolve

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002  the call has a deadline for all of it
        local_address: str | None = None,  # noqa: ARG002  never given
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002  never given
    ) -> httpcore2.NetworkStream:
        return Stream(_connect(host, port, self.check(host, port), current_call.get()))

    def check(self, host: str, port: int, ports: Container[int] = WEB_PORTS) -> Sequence[str]:
        """The addresses of a host that may be called. Raises EgressRefused, ConnectionFailed where there are none."""
        addresses = self._addresses(host, port, current_call.get())
        refusal = self._policy.refusal(host, port, addresses, ports)
        if refusal is not None:
            raise EgressRefused(detail=refusal)
        return addresses

    def _addresses(self, host: str, port: int, call: Call) -> Sequence[str]:
        try:
            return [str(ipaddress.ip_address(host))]
        except ValueError:
            pass
        try:
            found = _interruptibly(lambda: self._resolve(host, port), call)
        except (OSError, UnicodeError):
            raise ConnectionFailed(detail=f"{host}: no such host") from None
        if not found:
            raise ConnectionFailed(detail=f"{host}: no such host")
        return found


class Stream(httpcore2.NetworkStream):
    """A connected socket, plain or TLS; its operations keep to the current call's deadline and end with it."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002  see connect_tcp
        with _using(self._socket, httpcore2.ReadError):
            return self._socket.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002  see connect_tcp
        with _using(self._socket, httpcore2.WriteError):
            self._socket.sendall(buffer)

    def close(self) -> None:
        self._socket.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002  see connect_tcp
    ) -> "Stream":
        secured = ssl_context.wrap_socket(self._socket, server_hostname=server_hostname, do_handshake_on_connect=False)
        try:
            with _using(secured, httpcore2.ConnectError):
                secured.do_handshake()
        except BaseException:
            secured.close()
            raise
        return Stream(secured)

    def get_extra_info(self, info: str) -> Any:
        """`is_readable` of an idle connection: the other side has closed it."""
        return _is_readable(self._socket) if info == "is_readable" else None


@contextmanager
def _using(connection: socket.socket, error: type[Exception]) -> Iterator[None]:
    # not SSLSocket's own shutdown: that one takes the TLS state away under the reading thread's hands
    with current_call.get().blocking(partial(_shut_down, connection)) as seconds:
        connection.settimeout(seconds)
        try:
            yield
        except TimeoutError:
            raise
        except OSError as problem:
            raise error(str(problem)) from problem


def _shut_down(connection: socket.socket) -> None:
    try:
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    except OSError:
        return  # not connected yet, or not any more


def _connect(host: str, port: int, addresses: Sequence[str], call: Call) -> socket.socket:
    """The first of the addresses that answers; the time that is left is shared out among them."""
    problem = ""
    for place, address in enumerate(addresses):
        connection = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            with call.blocking(partial(_shut_down, connection)) as seconds:
                connection.settimeout(seconds / (len(addresses) - place))
                _dial(connection, address, port)
            return connection
        except OSError as error:
            connection.close()
            problem = error.strerror or str(error)
        except BaseException:
            connection.close()
            raise
    call.check()
    raise ConnectionFailed(detail=f"{host}: {problem}")


def _dial(connection: socket.socket, address: str, port: int) -> None:
    try:
        connection.connect((address, port))
    except TimeoutError:
        raise ConnectionError("no connection in time") from None  # this address's share, not the call's deadline
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _interruptibly(function: Callable[[], Sequence[str]], call: Call) -> Sequence[str]:
    """Run what cannot be interrupted (the system's resolver) in a thread that may be left behind."""
    answers: SimpleQueue[Sequence[str] | Exception] = SimpleQueue()

    def work() -> None:
        try:
            answers.put(function())
        except Exception as error:  # noqa: BLE001  raised again below
            answers.put(error)

    with call.blocking(lambda: answers.put([])) as seconds:
        threading.Thread(target=work, name="resolve", daemon=True).start()
        try:
            answer = answers.get(timeout=seconds)
        except Empty:
            raise TimeoutError from None
        if isinstance(answer, Exception):
            raise answer
    return answer


def _is_readable(connection: socket.socket) -> bool:
    if connection.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))
