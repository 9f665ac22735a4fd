"""The outside witness: a process of its own that writes down each effect, on disk before it says so.

It knows nothing of FlowForge, and no fault of a scenario strikes it. `python -m tests.faults.ledger FILE` prints its
port; a client sends a line of JSON and reads an empty line once that is on disk.
"""

import contextlib
import json
import os
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Effect:
    """One effect that was done."""

    key: str  # the step's idempotency key
    run: str
    node: str
    index: int  # of a map's item; -1: a node
    attempt: int
    at: float  # Unix seconds, by the ledger's clock
    pid: int  # who did it


class Book:
    """The file. Many may write at once: one flush to disk serves all that have written before it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._written = self._synced = 0

    def write(self, line: bytes) -> None:
        with self._counting:
            os.write(self._file, line)
            self._written += 1
            mine = self._written
        with self._lock:
            if self._synced < mine:
                upto = self._written
                os.fdatasync(self._file)
                self._synced = upto


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        book: Book = self.server.book  # type: ignore[attr-defined]  # set by serve()
        with contextlib.suppress(OSError):  # the client was killed
            for line in self.rfile:
                if line.endswith(b"\n"):
                    book.write(json.dumps({**json.loads(line), "at": time.time()}).encode() + b"\n")
                    self.wfile.write(b"\n")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 256


def serve(path: Path) -> None:
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.book = Book(path)  # type: ignore[attr-defined]  # read by the handlers
        print(server.server_address[1], flush=True)
        server.serve_forever()


@contextlib.contextmanager
def running(path: Path) -> Iterator[int]:
    """The witness as a child; gives its port."""
    command = [sys.executable, "-m", "tests.faults.ledger", str(path)]
    process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


_here = threading.local()


def record(port: int, entry: dict[str, Any]) -> None:
    """Have an effect written down; returns when it is on disk. Each thread keeps its connection."""
    if not hasattr(_here, "connection"):
        _here.connection = socket.create_connection(("127.0.0.1", port), timeout=30)
        _here.stream = _here.connection.makefile("rwb")
    try:
        _here.stream.write(json.dumps(entry).encode() + b"\n")
        _here.stream.flush()
        if _here.stream.readline() != b"\n":
            raise ConnectionError("the ledger has not answered")
    except OSError:
        hang_up()
        raise


def hang_up() -> None:
    """End this thread's connection, if it has one."""
    if hasattr(_here, "connection"):
        with contextlib.suppress(OSError):  # what was buffered cannot be sent any more
            _here.stream.close()
        _here.connection.close()
        del _here.connection, _here.stream


def read(path: Path) -> list[Effect]:
    """All effects that were done, in their order."""
    return [Effect(**json.loads(line)) for line in path.read_text().splitlines()]


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
