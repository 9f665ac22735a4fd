"""The application as a server calls it, without a server."""

import asyncio
from collections.abc import Iterable
from typing import Any

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
    asyncio.run(Application()({**scope, "headers": [HOST, *headers]}, receive, send))
    return sent
