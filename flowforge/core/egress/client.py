"""Requests and answers over checked connections.

A name is resolved once, all its addresses are checked, and the connection is made to a checked address (the name
is kept for Host and TLS), so that a second answer of the resolver cannot change the target. A pooled connection was
checked when it was made. Redirects are followed only where asked for, each hop like a first call. Of the environment
neither proxies nor .netrc are read, and no cookie is kept: all callers share the connections.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Final

import httpcore2
import httpx2

from flowforge.core.egress.addresses import USER_PORTS, AddressPolicy
from flowforge.core.egress.call import Call, Cancellable, current_call
from flowforge.core.egress.errors import (
    ConnectionFailed,
    EgressRefused,
    EgressTimeout,
    InvalidRequest,
    ResponseTooLarge,
)
from flowforge.core.egress.network import Backend, Resolve, resolve
from flowforge.core.redaction import is_sensitive

DEFAULT_MAX_BYTES: Final = 1024 * 1024
MAX_REDIRECTS: Final = 3

_DEFAULT_HEADERS: Final = {"accept": "*/*", "accept-encoding": "gzip, deflate", "user-agent": "FlowForge"}
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_KEEP_ALIVE_SECONDS: Final = 15.0
_MAX_IDLE_CONNECTIONS: Final = 20
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, kw_only=True, slots=True)
class Outgoing:
    """A request to be made."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] | None = None  # pieces: with the header `content-length`, in one try, no redirect
    timeout_seconds: float = 30.0  # for all of it: resolving, connecting, redirects, the last byte
    max_bytes: int = DEFAULT_MAX_BYTES  # of the answer's body, after decompression
    follow_redirects: bool = False  # for GET and HEAD
    check_host: Callable[[str], None] | None = None  # given `name:port` of each hop before it; raises to stop
    cut_short: bool = False  # of a larger or slower body keep what has come, as it came, rather than refuse the answer


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]  # names in lower case; what came several times joined by ", "
    body: bytes  # decompressed
    url: str  # that of the last hop
    encoding: str | None  # the charset that the content type names

    def text(self) -> str:
        """The body as text: in its own charset, else UTF-8; what is not becomes U+FFFD."""
        try:
            return self.body.decode(self.encoding or "utf-8", "replace")
        except LookupError:
            return self.body.decode("utf-8", "replace")


@dataclass(frozen=True, kw_only=True, slots=True)
class Streamed:
    """An answer whose body is still on its way."""

    status: int
    headers: Mapping[str, str]  # as an Answer's
    chunks: Iterator[bytes]  # decompressed, as they come; raises EgressError, ResponseTooLarge over `max_bytes` too


class Egress:
    """A client with one address policy and a pool of connections; safe to share between threads."""

    def __init__(self, policy: AddressPolicy, resolve: Resolve = resolve) -> None:
        self._backend = Backend(policy, resolve)
        self._pool = httpcore2.ConnectionPool(
            ssl_context=httpcore2.default_ssl_context(),
            max_connections=None,  # as many as there are threads that call
            max_keepalive_connections=_MAX_IDLE_CONNECTIONS,
            keepalive_expiry=_KEEP_ALIVE_SECONDS,
            network_backend=self._backend,
        )

    def close(self) -> None:
        self._pool.close()

    def check(self, text: str, timeout_seconds: float = 3.0) -> None:
        """Raises EgressError unless this URL may be called, as far as can be said without calling it.

        Its name is resolved, which takes the network: not within a transaction.
        """
        self.web_addresses(text, timeout_seconds=timeout_seconds)

    def web_addresses(
        self, text: str, cancel: Cancellable | None = None, timeout_seconds: float = 30.0
    ) -> Sequence[str]:
        """The checked addresses of a URL's host, for a program that connects by itself and can be bound to them.

        Raises EgressError unless the URL may be called.
        """
        url = checked_url(text)
        token = current_call.set(Call(timeout_seconds, cancel))
        try:
            return self._backend.check(url.host, url.port or _PORTS[url.scheme])
        finally:
            current_call.reset(token)

    def send(self, outgoing: Outgoing, cancel: Cancellable | None = None) -> Answer:
        """Make the call. Any status is an answer. Raises EgressError."""
        token = current_call.set(Call(outgoing.timeout_seconds, cancel))
        try:
            for _ in range(MAX_REDIRECTS + 1):
                answer = self._hop(outgoing)
                target = _redirect(outgoing, answer.status, answer.headers, answer.url)
                if target is None:
                    return answer
                outgoing = target
            raise ConnectionFailed(detail=f"more than {MAX_REDIRECTS} redirects")
        finally:
            current_call.reset(token)

    def addresses(self, host: str, port: int, timeout_seconds: float, cancel: Cancellable | None = None) -> list[str]:
        """For clients of other protocols: the checked addresses of a host, to connect to one of these and no other.

        Any port from 1024 on will do: databases have no ports in common. Raises EgressError.
        """
        token = current_call.set(Call(timeout_seconds, cancel))
        try:
            return list(self._backend.check(host, port, ports=USER_PORTS))
        finally:
            current_call.reset(token)

    @contextmanager
    def stream(self, outgoing: Outgoing, cancel: Cancellable | None = None) -> Iterator[Streamed]:
        """Make the call, and read the answer within the block, in the same thread.

        Deadline and cancelling hold to the last byte. Raises EgressError.
        """
        token = current_call.set(Call(outgoing.timeout_seconds, cancel))
        try:
            for _ in range(MAX_REDIRECTS + 1):
                with self._streamed_hop(outgoing) as (streamed, target):
                    if target is None:
                        yield streamed
                        return
                outgoing = target
            raise ConnectionFailed(detail=f"more than {MAX_REDIRECTS} redirects")
        finally:
            current_call.reset(token)

    @contextmanager
    def _streamed_hop(self, outgoing: Outgoing) -> Iterator[tuple[Streamed, Outgoing | None]]:
        """An answer as it comes, and the next hop if it is not the last."""
        url = checked_url(outgoing.url)
        if outgoing.check_host is not None:
            outgoing.check_host(host_and_port(url))
        with _translated(url.host), closing(self._response(_request(outgoing, url))) as response:
            headers = dict(response.headers.items())
            chunks = _translated_chunks(url.host, _counted(response, outgoing.max_bytes))
            streamed = Streamed(status=response.status_code, headers=headers, chunks=chunks)
            yield streamed, _redirect(outgoing, streamed.status, headers, str(url))

    def _hop(self, outgoing: Outgoing) -> Answer:
        url = checked_url(outgoing.url)
        if outgoing.check_host is not None:
            outgoing.check_host(host_and_port(url))
        with _translated(url.host), closing(self._response(_request(outgoing, url))) as response:
            return Answer(
                status=response.status_code,
                headers=dict(response.headers.items()),
                body=_beginning(response, outgoing.max_bytes)
                if outgoing.cut_short
                else _bounded(response, outgoing.max_bytes),
                url=str(url),
                encoding=response.charset_encoding,
            )

    def _response(self, request: httpx2.Request) -> httpx2.Response:
        raw = self._pool.handle_request(
            httpcore2.Request(
                method=request.method,
                url=httpcore2.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.stream,
            )
        )
        return httpx2.Response(raw.status, headers=raw.headers, stream=_Body(raw), request=request)


class _Body(httpx2.SyncByteStream):
    """The answer's bytes as they come from the pool, for httpx2 to decompress."""

    def __init__(self, response: httpcore2.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


@cache
def _egress(policy: AddressPolicy) -> Egress:
    return Egress(policy)


def egress(allow: Iterable[str] = ()) -> Egress:
    """This process's client for an operator's list of allowed targets (see AddressPolicy.parse)."""
    return _egress(AddressPolicy.parse(allow))


def checked_url(text: str) -> httpx2.URL:
    """A URL that may be called as far as its text shows. Raises InvalidRequest, EgressRefused."""
    try:
        url = httpx2.URL(text)
    except (httpx2.InvalidURL, TypeError):
        raise InvalidRequest(detail="the URL is none") from None
    if url.scheme not in ("http", "https"):
        raise EgressRefused(detail=f"the scheme of a URL is http or https, not {url.scheme!r}")
    if not url.host or "%" in url.host:  # what may not stand in a host comes out percent-encoded
        raise InvalidRequest(detail="the URL names no host")
    if url.userinfo:
        raise EgressRefused(detail="a URL may not carry a user name or password; send a header")
    return url


def host_and_port(url: httpx2.URL) -> str:
    """`name:port`, as the client takes them: an international name in its ASCII form, an IPv6 address in brackets."""
    name = url.raw_host.decode("ascii")
    return f"{f'[{name}]' if ':' in name else name}:{url.port or (443 if url.scheme == 'https' else 80)}"


def _redirect(outgoing: Outgoing, status: int, headers: Mapping[str, str], url: str) -> Outgoing | None:
    """The next hop; None: this is the answer."""
    if not (outgoing.follow_redirects and status in _REDIRECTS and outgoing.method in ("GET", "HEAD")):
        return None
    location = headers.get("location")
    if location is None:
        return None
    here = httpx2.URL(url)
    try:
        there = here.join(location)
    except httpx2.InvalidURL:
        raise ConnectionFailed(detail=f"{here.host}: redirected to what is no URL") from None
    same_origin = (here.scheme, here.host, here.port) == (there.scheme, there.host, there.port)
    kept = outgoing.headers if same_origin else _without_secrets(outgoing.headers)
    return replace(outgoing, url=str(there), headers=kept)


def _without_secrets(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if not is_sensitive(name)}


def _request(outgoing: Outgoing, url: httpx2.URL) -> httpx2.Request:
    given = {name.lower(): value for name, value in outgoing.headers.items()}
    return httpx2.Request(outgoing.method, url, headers={**_DEFAULT_HEADERS, **given}, content=outgoing.body)


def _bounded(response: httpx2.Response, max_bytes: int) -> bytes:
    return b"".join(_counted(response, max_bytes))


def _counted(response: httpx2.Response, max_bytes: int) -> Iterator[bytes]:
    """The body in its chunks. Raises ResponseTooLarge."""
    size = 0
    for chunk in response.iter_bytes():
        size += len(chunk)
        if size > max_bytes:
            raise ResponseTooLarge(detail=f"the answer is larger than {max_bytes} bytes")
        yield chunk


def _translated_chunks(host: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    with _translated(host):
        yield from chunks


def _beginning(response: httpx2.Response, max_bytes: int) -> bytes:
    """As much of the body as comes in time, at most `max_bytes`; the status has said what matters. Not decompressed."""
    body = bytearray()
    with contextlib.suppress(EgressTimeout, httpcore2.NetworkError, httpcore2.ProtocolError):
        for chunk in response.iter_raw():
            body += chunk
            if len(body) >= max_bytes:
                break
    return bytes(body[:max_bytes])


@contextmanager
def _translated(host: str) -> Iterator[None]:
    """The libraries' exceptions as ours."""
    try:
        yield
    except (httpcore2.LocalProtocolError, UnicodeError):
        # not the library's message: it quotes the value, which may be a secret
        raise InvalidRequest(detail="a header's name or value holds a character that may not be sent") from None
    except httpcore2.TimeoutException:
        raise EgressTimeout(detail=f"{host}: no answer in time") from None
    except (httpcore2.NetworkError, httpcore2.ProtocolError, httpx2.DecodingError) as error:
        raise ConnectionFailed(detail=f"{host}: {error}") from None
