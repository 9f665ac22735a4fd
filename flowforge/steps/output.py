"""What a process writes: its lines to the step's log as they come, and the end of it kept for the step's output."""

from collections.abc import Callable
from typing import Final

from flowforge.steps.base import LogLevel

MAX_LINE_BYTES: Final = 8 * 1024
MAX_LOG_LINES: Final = 10_000
MAX_LOG_BYTES: Final = 1024 * 1024
TAIL_BYTES: Final = 64 * 1024
SEAM_BYTES: Final = 32 * 1024  # kept beyond each cut until secrets are masked: none is longer, and half a one is seen

_KEPT_BYTES: Final = TAIL_BYTES + SEAM_BYTES
_CONTINUATION: Final = bytes(range(0x80, 0xC0))  # of UTF-8: never the first byte of a character


def decode(raw: bytes) -> str:
    """UTF-8; what is not, and NUL (which databases refuse), becomes U+FFFD."""
    return raw.decode("utf-8", "replace").replace("\x00", "�")


class LogBudget:
    """The log of one attempt: bounded over all its streams together, and said once when it is used up."""

    def __init__(self, log: Callable[[LogLevel, str], None]) -> None:
        self._log = log
        self._lines = MAX_LOG_LINES
        self._bytes = MAX_LOG_BYTES

    def line(self, level: LogLevel, raw: bytes) -> None:
        if self._lines <= 0:
            return
        self._lines -= 1
        self._bytes -= len(raw)
        if self._lines and self._bytes >= 0:
            self._log(level, decode(raw))
            return
        self._lines = 0
        self._log("warning", "output over the log's limit: the rest is not logged")


class Stream:
    """One of a process's outputs, fed in chunks as they are read."""

    def __init__(self, level: LogLevel, budget: LogBudget, mask: Callable[[str], str] = str) -> None:
        self._mask = mask
        self._level = level
        self._budget = budget
        self._line = bytearray()
        self._tail = bytearray()
        self._total = 0

    def feed(self, chunk: bytes) -> None:
        self._total += len(chunk)
        self._tail += chunk
        if len(self._tail) > 2 * _KEPT_BYTES:  # twice: so that not every chunk moves the whole of it
            del self._tail[:-_KEPT_BYTES]
        *complete, rest = chunk.split(b"\n")
        for piece in complete:
            self._extend_line(piece)
            self._end_line()
        self._extend_line(rest)

    def finish(self) -> str:
        """The stream has ended: its last line needs no newline. Gives the tail."""
        if self._line:
            self._end_line()
        if self._total <= TAIL_BYTES:
            return decode(bytes(self._tail))
        tail = self._mask(decode(bytes(self._tail))).encode()[-TAIL_BYTES:]
        return decode(tail.lstrip(_CONTINUATION))  # the cut may be inside a character

    def _extend_line(self, piece: bytes) -> None:
        room = MAX_LINE_BYTES + SEAM_BYTES - len(self._line)
        self._line += piece[:room]

    def _end_line(self) -> None:
        line = bytes(self._line).removesuffix(b"\r")
        if len(line) > MAX_LINE_BYTES:
            line = self._mask(decode(line)).encode()[:MAX_LINE_BYTES] + b" [cut]"
        self._budget.line(self._level, line)
        self._line.clear()
