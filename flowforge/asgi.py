"""The web application, as ASGI.

Django's own ASGI handler gives each request a fresh thread, and with it a fresh database connection. Here requests run
synchronously in a pool of threads of ours that live long: their connections do too, and the event loop is left to what
has to wait.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

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

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class ClientGone(Exception):
    """The client closed the connection before it had sent its body."""


class Application:
    """One per process: Django's handler chain and the threads that run it."""

    def __init__(self) -> None:
        self._handler = BaseHandler()
        self._handler.load_middleware(is_async=False)
        self._threads = ThreadPoolExecutor(settings.WEB_THREADS, thread_name_prefix="web")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._refuse_upgrade(scope, receive, send)
            return
        limit: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        is_unwanted = _asks_before_sending_more(scope["headers"], limit)
        try:
            body = None if is_unwanted else await _read_body(receive, limit)
        except ClientGone:
            return
        loop = asyncio.get_running_loop()
        response, chunks = await loop.run_in_executor(self._threads, self._respond, scope, body)
        headers = _headers(response)
        if is_unwanted:
            headers.append((b"connection", b"close"))  # nobody knows whether the body still comes (RFC 9110, 10.1.1)
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        iterator = iter(chunks)
        if response.streaming:
            while (chunk := await loop.run_in_executor(self._threads, next, iterator, None)) is not None:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        else:
            await send({"type": "http.response.body", "body": b"".join(iterator)})
        if response.streaming:
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

    def _respond(self, scope: Scope, body: bytes | None) -> tuple[HttpResponseBase, Iterable[bytes]]:
        """Run the whole of Django for one request, in one of our threads."""
        signals.request_started.send(sender=self.__class__, scope=scope)
        request = ASGIRequest(scope, BytesIO(body or b""))
        if body is None:
            request.META["flowforge.body_too_large"] = True
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


async def _read_body(receive: Receive, limit: int) -> bytes | None:
    """The whole body; None once it exceeds the limit (the rest is left unread)."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            return None
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _headers(response: HttpResponseBase) -> list[tuple[bytes, bytes]]:
    headers = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in response.items()]
    headers.extend((b"set-cookie", cookie.OutputString().encode("ascii")) for cookie in response.cookies.values())
    return headers


application = Application()
