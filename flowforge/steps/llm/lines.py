"""A reply's text in the step's log while it comes: bounded lines, no secret in any of them."""

from collections.abc import Callable
from typing import Final

from flowforge.core.redaction import Redactor
from flowforge.steps.base import LogLevel

MAX_LINE: Final = 1_000  # characters
MAX_LINES: Final = 1_000  # of one step's call


class Lines:
    """Cut at line breaks, else at a space, else where a line is full."""

    def __init__(self, log: Callable[[LogLevel, str], None], secret: str) -> None:
        self._log = log
        self._mask = Redactor([secret]).stream()
        self._rest = ""
        self._left = MAX_LINES

    def feed(self, text: str) -> None:
        self._take(self._mask.feed(text))

    def finish(self) -> None:
        self._take(self._mask.finish())
        self._line(self._rest)
        self._rest = ""

    def _take(self, text: str) -> None:
        *complete, self._rest = (self._rest + text).split("\n")
        for line in complete:
            self._line(self._cut(line))
        self._rest = self._cut(self._rest)

    def _cut(self, line: str) -> str:
        """What is left once the full lines at its beginning are logged."""
        while len(line) > MAX_LINE:
            place = line.rfind(" ", 1, MAX_LINE) + 1 or MAX_LINE
            self._line(line[:place])
            line = line[place:]
        return line

    def _line(self, line: str) -> None:
        if not line.strip() or self._left < 0:
            return
        self._left -= 1
        if self._left < 0:
            self._log("warning", "reply over the log's limit: the rest is not logged")
        else:
            self._log("info", line.rstrip())
