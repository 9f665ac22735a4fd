"""The application as a server calls it, without a server."""

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from django.db import connections

from flowforge.asgi import Application

Header = tuple[bytes, bytes]
HOST: Header = (b"host", b"localhost")


def exchange(
    kind: str, method: str, path: str, headers: Iterable[Header], received: list[dict]
) -> list[dict[str, Any]]:
    """What the application sends, if it receives these messages and no others.

    One with `after` is not received before so many were sent.
    """
    sent: list[dict[str, Any]] = []
    moved = asyncio.Event()

    async def receive() -> dict:
        message = received.pop(0)
        while len(sent) < message.get("after", 0):
            await moved.wait()
            moved.clear()
        return message

    async def send(message: dict) -> None:
        sent.append(message)
        moved.set()

    scope = {"type": kind, "method": method, "path": path, "query_string": b"", "http_version": "1.1"}
    application = Application()
    asyncio.run(application({**scope, "headers": [HOST, *headers]}, receive, send))
    for threads in (application._threads, application._uploads):
        _end(threads)
    return sent


def _end(threads: ThreadPoolExecutor) -> None:
    """Each thread closes its connections: nobody would, in an application that is not kept."""
    count = len(threads._threads)
    together = Barrier(count) if count else None

    def close() -> None:
        assert together is not None
        together.wait(10)
        connections.close_all()

    for closed in [threads.submit(close) for _ in range(count)]:
        closed.result(10)
    threads.shutdown()
