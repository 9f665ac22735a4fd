"""Idle threads: work that starts at once, or is refused."""

import logging
import queue
import threading
from collections.abc import Callable

from django.db import connections

log = logging.getLogger("flowforge.worker")

_Seat = queue.SimpleQueue[Callable[[], None] | None]
"""Where one thread waits for its next call; None: for its end."""


class IdleThreads:
    """A few threads that take a call only if one of them is idle; whoever is refused goes another way.

    It is the one that was idle last: its connection to the database is warm, and has prepared what it is asked often.
    """

    def __init__(self, count: int, name: str) -> None:
        self._lock = threading.Lock()
        self._seats = [_Seat() for _ in range(count)]
        self._idle = list(reversed(self._seats))
        self._threads = [
            threading.Thread(target=self._loop, args=[seat], name=f"{name}-{number}", daemon=True)
            for number, seat in enumerate(self._seats)
        ]
        for thread in self._threads:
            thread.start()

    def offer(self, call: Callable[[], None]) -> bool:
        """Have `call` run now; False if every thread is busy."""
        with self._lock:
            if not self._idle:
                return False
            seat = self._idle.pop()
        seat.put(call)
        return True

    def stop(self) -> None:
        """End each thread once its call has ended; does not wait longer than a few seconds for any."""
        for seat in self._seats:
            seat.put(None)
        for thread in self._threads:
            thread.join(timeout=5)

    def _loop(self, seat: _Seat) -> None:
        try:
            while (call := seat.get()) is not None:
                try:
                    call()
                except Exception:
                    log.exception("a hint could not be answered")
                    connections.close_all()  # perhaps it was this thread's that failed: the next call has a fresh one
                with self._lock:
                    self._idle.append(seat)
        finally:
            connections.close_all()
