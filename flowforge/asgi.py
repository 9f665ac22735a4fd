"""The web application, as ASGI.

Django's own ASGI handler gives each request a fresh thread, and with it a fresh database connection. Here requests run
synchronously in a pool of threads of ours that live long: their connections do too, and the event loop is left to what
has to wait. A body that is larger than what is read beforehand is handed on while it comes, to threads apart: slow
uploads keep nobody else waiting.
"""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import IO, Any, Final, cast

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowforge.settings")
django.setup()

from django.conf import settings  # noqa: E402  after setup
from django.core import signals  # noqa: E402
from django.core.handlers.asgi import ASGIRequest  # noqa: E402
from django.core.handlers.base import BaseHandler  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.http.response import HttpResponseBase  # noqa: E402

import flowforge.celery  # noqa: E402, F401  the bell needs its application
from flowforge.api.incoming import IncomingBody  # noqa: E402  as above

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

UPLOAD_THREADS: Final = 8  # large bodies that are read at a time; further ones wait for their turn


class ClientGone(Exception):
    """The client closed the connection before it had sent its body."""


class Application:
    """One per process: Django's handler chain and the threads that run it."""

    def __init__(self) -> None:
        self._handler = BaseHandler()
        self._handler.load_middleware(is_async=False)
        self._threads = ThreadPoolExecutor(settings.WEB_THREADS, thread_name_prefix="web")
        self._uploads = ThreadPoolExecutor(UPLOAD_THREADS, thread_name_prefix="upload")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._refuse_upgrade(scope, receive, send)
            return
        limit: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        is_unwanted = _asks_before_sending_more(scope["headers"], limit)
        loop = asyncio.get_running_loop()
        try:
            body = IncomingBody(loop, receive) if is_unwanted else await _read_body(loop, receive, limit)
        except ClientGone:
            return
        threads = self._threads if isinstance(body, bytes) else self._uploads
        response, chunks = await loop.run_in_executor(threads, self._respond, scope, body)
        headers = _headers(response)
        if is_unwanted and isinstance(body, IncomingBody) and not body.is_whole:
            headers.append((b"connection", b"close"))  # nobody knows whether the body still comes (RFC 9110, 10.1.1)
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        if response.streaming:
            await self._stream(response, iter(chunks), receive, send)
        else:
            await send({"type": "http.response.body", "body": b"".join(chunks)})

    async def _stream(self, response: HttpResponseBase, chunks: Iterator[bytes], receive: Receive, send: Send) -> None:
        """Piece by piece, for as long as there is somebody who reads."""
        loop = asyncio.get_running_loop()
        gone = asyncio.ensure_future(
            receive()
        )  # once the request is read, the next thing to hear is the client's going
        try:
            while not gone.done():
                chunk = await loop.run_in_executor(self._threads, next, chunks, None)
                if chunk is None:
                    await send({"type": "http.response.body", "body": b""})
                    return
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        finally:
            gone.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await gone
            await loop.run_in_executor(self._threads, response.close)

    async def _refuse_upgrade(self, scope: Scope, receive: Receive, send: Send) -> None:
        """No path here is a WebSocket: the handshake gets the answer that a GET would get, its problem included."""
        await receive()
        as_get = {**scope, "type": "http", "method": "GET"}
        loop = asyncio.get_running_loop()
        response, chunks = await loop.run_in_executor(self._threads, self._respond, as_get, b"")
        start = {"status": response.status_code, "headers": _headers(response)}
        await send({"type": "websocket.http.response.start", **start})
        await send({"type": "websocket.http.response.body", "body": b"".join(chunks)})
        if response.streaming:
            await loop.run_in_executor(self._threads, response.close)

    def _respond(self, scope: Scope, body: bytes | IncomingBody) -> tuple[HttpResponseBase, Iterable[bytes]]:
        """Run the whole of Django for one request, in one of our threads."""
        signals.request_started.send(sender=self.__class__, scope=scope)
        request = ASGIRequest(scope, BytesIO(body) if isinstance(body, bytes) else cast(IO[bytes], body))
        if not isinstance(body, bytes):
            request.META["flowforge.body_too_large"] = True  # for all views but those that read it while it comes
        response = self._handler.get_response(request)
        if response.streaming:
            return response, map(bytes, response)
        assert isinstance(response, HttpResponse)  # noqa: S101  the only other kind
        content = response.content
        response.close()
        return response, (content,)


def _asks_before_sending_more(headers: Iterable[tuple[bytes, bytes]], limit: int) -> bool:
    """Does `Expect: 100-continue` ask for leave to send a body that is over the limit? Then it need not be sent."""
    sent = dict(headers)
    length = sent.get(b"content-length", b"")
    return sent.get(b"expect", b"").lower() == b"100-continue" and length.isdigit() and int(length) > limit


async def _read_body(loop: asyncio.AbstractEventLoop, receive: Receive, limit: int) -> bytes | IncomingBody:
    """The whole body; one that is still coming once it exceeds the limit."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        parts.append(part)
        is_whole = not message.get("more_body", False)
        if size > limit:
            return IncomingBody(loop, receive, b"".join(parts), is_whole=is_whole)
        if is_whole:
            return b"".join(parts)


def _headers(response: HttpResponseBase) -> list[tuple[bytes, bytes]]:
    headers = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in response.items()]
    headers.extend((b"set-cookie", cookie.OutputString().encode("ascii")) for cookie in response.cookies.values())
    return headers


application = Application()
