"""A thread that carries hints to the broker, so that whoever rings never waits for it.

Keepers and drivers ring while they hold leases, which a broker that does not answer would cost them. Requests ring
while a caller waits, and AMQP's client has waits without an end: for a connection that others of its pool are opening,
for the confirmation of a message, for the farewell of a server that is gone. Hints may be lost: those that wait for too
long are.
"""

import os
import threading
import time
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
        self._is_carrying = False
        self._pid = 0  # of the process that has the thread: a fork has none

    def put(self, name: str, args: list[str], queue: str) -> None:
        with self._change:
            self._hints.append((name, args, queue))
            if self._pid != os.getpid():
                self._pid = os.getpid()
                threading.Thread(target=self._loop, name="ringer", daemon=True).start()
            self._change.notify_all()

    def flush(self, seconds: float) -> bool:
        """Wait until nothing waits; False if something still does after so long."""
        until = time.monotonic() + seconds
        with self._change:
            while self._hints or self._is_carrying:
                if not self._change.wait(max(0.0, until - time.monotonic())):
                    return False
        return True

    def _loop(self) -> None:
        while True:
            with self._change:
                self._is_carrying = False
                self._change.notify_all()
                while not self._hints:
                    self._change.wait()
                hint = self._hints.popleft()
                self._is_carrying = True
            self._carry(*hint)
