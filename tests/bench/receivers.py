"""Receivers of webhooks that are well and ill in the ways that there are, on one asyncio loop in a thread of its own.

The first part of a path says how it is answered: `/ok/…`, `/hang/…`; see MODES.
"""

import asyncio
import contextlib
import json
import socket
import struct
import threading
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from typing import Final

HANG_SECONDS: Final = 20.0
HUGE_BYTES: Final = 1024**3
_TLS_HANDSHAKE: Final = b"\x16"
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Receivers:
    """What was received: path and moment of each, and the event's own moment."""

    def __init__(self) -> None:
        self.url = ""
        self._seen: list[tuple[str, float]] = []  # (path, seconds from the event to here)

    def waits(self, which: Callable[[str], bool]) -> list[float]:
        return [wait for path, wait in list(self._seen) if which(path)]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                first = await reader.readexactly(1)
                if first == _TLS_HANDSHAKE:  # whoever says https gets an answer that is none
                    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    break
                path, body = await _request(first, reader)
                happened = datetime.fromisoformat(json.loads(body)["timestamp"]).timestamp()
                self._seen.append((path, time.time() - happened))
                mode = path.split("/")[1]
                await MODES[mode](writer)
                if mode != "ok":
                    break
        writer.close()


async def _request(first: bytes, reader: asyncio.StreamReader) -> tuple[str, bytes]:
    head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    lengths = [line.split(":")[1] for line in head if line.lower().startswith("content-length:")]
    return head[0].split(" ")[1], await reader.readexactly(int(lengths[0]))


def _status(status: str, *headers: str, body: bytes = b"") -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()

    return answer


async def _hang(_writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(HANG_SECONDS)


async def _slow(writer: asyncio.StreamWriter) -> None:
    """A byte a second, of the head as well."""
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n" + b"." * 60:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(1)


async def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def _huge(writer: asyncio.StreamWriter) -> None:
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {HUGE_BYTES}\r\n\r\n".encode())
    chunk = b"x" * 65_536
    for _ in range(HUGE_BYTES // len(chunk)):
        writer.write(chunk)
        await writer.drain()


def _bomb() -> bytes:
    """100 MB of zeros as 100 kB."""
    packer = zlib.compressobj(9, wbits=31)
    zeros = bytes(1024**2)
    return b"".join([*(packer.compress(zeros) for _ in range(100)), packer.flush()])


MODES: Final[dict[str, Answer]] = {
    "ok": _status("204 No Content"),
    "error": _status("500 Internal Server Error", body=b"broken"),
    "hang": _hang,
    "slow": _slow,
    "reset": _reset,
    "redirect": _status("302 Found", "Location: http://169.254.169.254/latest/meta-data"),
    "huge": _huge,
    "bomb": _status("200 OK", "Content-Encoding: gzip", body=_bomb()),
    "gone": _status("410 Gone"),
    "headers": _status("200 OK", *(f"X-{number}: {number}" for number in range(100_000))),
    "busy": _status("429 Too Many Requests", "Retry-After: 60"),
}


async def _end() -> None:
    """Whoever still hangs lets go."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@contextlib.contextmanager
def receivers() -> Iterator[Receivers]:
    """Listening until the block ends."""
    found, loop = Receivers(), asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(found.serve, "127.0.0.1", 0))
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        asyncio.run_coroutine_threadsafe(_end(), loop).result(timeout=5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=5)
        loop.close()
