"""A thread that carries hints to the broker, so that whoever rings never waits for it.

Keepers, drivers and requests ring while they hold leases, or while a caller waits. AMQP's client has waits without an
end: for a connection that others of its pool are opening, for the confirmation of a message, for the farewell of a
server that is gone. Hints may be lost: those that wait for too long are.
"""

import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

KEPT: Final = 1_000  # hints that wait; the oldest goes when another comes

Hint = tuple[str, list[str], str]
"""Task name, arguments, queue."""


class Ringer:
    """`put` returns at once; `carry` is called in the thread, one hint after the other, and must not raise."""

    def __init__(self, carry: Callable[[str, list[str], str], None]) -> None:
        self._carry = carry
        self._change = threading.Condition()
        self._hints: deque[Hint] = deque(maxlen=KEPT)
        self._pid = 0  # of the process that has the thread: a fork has none

    def put(self, name: str, args: list[str], queue: str) -> None:
        with self._change:
            self._hints.append((name, args, queue))
            if self._pid != os.getpid():
                self._pid = os.getpid()
                threading.Thread(target=self._loop, name="ringer", daemon=True).start()
            self._change.notify()

    def _loop(self) -> None:
        while True:
            with self._change:
                while not self._hints:
                    self._change.wait()
                hint = self._hints.popleft()
            self._carry(*hint)
