"""The body of a request while it still comes, as a file for a view that reads it piece by piece."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

STALL_SECONDS: Final = 20.0  # a client that sends nothing for so long has gone, whatever its connection says
READ_AT_ONCE: Final = 6 * 1024 * 1024  # what `read()` without a size gives at most

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class IncomingBody:
    """A file to be read from another thread than that of `loop`, where `receive` (ASGI) gives the rest of the body.

    What comes is waited for, and what is not read is not taken from the client: memory holds a piece. Reading raises
    OSError where the client has gone or has fallen silent.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, receive: Receive, begun: bytes = b"", *, is_whole: bool = False
    ) -> None:
        """`begun`: what has come already; `is_whole`: and that was all."""
        self._loop = loop
        self._receive = receive
        self._ready = bytearray(begun)
        self.is_whole = is_whole  # all of it has come

    def read(self, size: int | None = -1) -> bytes:
        """`size` bytes, fewer at the end alone."""
        wanted = READ_AT_ONCE + 1 if size is None or size < 0 else size
        while len(self._ready) < wanted and not self.is_whole:
            self._take()
        if len(self._ready) > READ_AT_ONCE and wanted > READ_AT_ONCE:
            raise OSError("the body is too large to be read at once")
        found = bytes(self._ready[:wanted])
        del self._ready[:wanted]
        return found

    def close(self) -> None:
        """Nothing is held but memory."""

    def _take(self) -> None:
        coming = asyncio.run_coroutine_threadsafe(self._next(), self._loop)
        try:
            message = coming.result(STALL_SECONDS)
        except TimeoutError as error:
            coming.cancel()
            raise OSError("the client has fallen silent") from error
        if message["type"] == "http.disconnect":
            raise OSError("the client has gone")
        self._ready += message.get("body", b"")
        self.is_whole = not message.get("more_body", False)

    async def _next(self) -> MutableMapping[str, Any]:
        return await self._receive()
