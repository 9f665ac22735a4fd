"""Idle threads: work that starts at once, or is refused."""

import logging
import queue
import threading
import time
from collections.abc import Callable

from django.db import connections

STOP_SECONDS = 5.0

log = logging.getLogger("flowforge.worker")

_Seat = queue.SimpleQueue[Callable[[], None] | None]
"""Where one thread waits for its next call; None: for its end."""


class IdleThreads:
    """A few threads that take a call only if one of them is idle; whoever is refused goes another way.

    It is the one that was idle last: its connection to the database is warm, and has prepared what it is asked often.
    """

    def __init__(self, count: int, name: str) -> None:
        self._lock = threading.Lock()
        self._name = name
        self._seats: list[_Seat] = []
        self._idle: list[_Seat] = []
        self._threads: list[threading.Thread] = []
        for _ in range(count):
            self.grow()
        self._idle.reverse()  # the first is taken first

    def grow(self) -> None:
        """One thread more."""
        seat, number = _Seat(), len(self._threads)
        thread = threading.Thread(target=self._loop, args=[seat], name=f"{self._name}-{number}", daemon=True)
        thread.start()
        with self._lock:
            self._seats.append(seat)
            self._threads.append(thread)
            self._idle.append(seat)

    def offer(self, call: Callable[[], None]) -> bool:
        """Have `call` run now; False if every thread is busy."""
        with self._lock:
            if not self._idle:
                return False
            seat = self._idle.pop()
        seat.put(call)
        return True

    def stop(self) -> None:
        """End each thread once its call has ended; does not wait longer than a few seconds for all of them."""
        deadline = time.monotonic() + STOP_SECONDS
        for seat in self._seats:
            seat.put(None)
        for thread in self._threads:
            thread.join(timeout=max(0.0, deadline - time.monotonic()))

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
