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
    A thread is started when it is first needed.
    """

    def __init__(self, count: int, name: str) -> None:
        self._lock = threading.Lock()
        self._count = count
        self._name = name
        self._stopping = False
        self._idle: list[_Seat] = []  # where a thread waits
        self._threads: dict[threading.Thread, _Seat] = {}

    def grow(self) -> None:
        """One thread more."""
        with self._lock:
            self._count += 1

    def offer(self, call: Callable[[], None]) -> bool:
        """Have `call` run now; False if every thread is busy."""
        with self._lock:
            if not self._idle and not self._start_one():
                return False
            seat = self._idle.pop()
        seat.put(call)
        return True

    def _start_one(self) -> bool:
        if self._stopping or len(self._threads) >= self._count:
            return False
        seat = _Seat()
        name = f"{self._name}-{len(self._threads)}"
        thread = threading.Thread(target=self._loop, args=[seat], name=name, daemon=True)
        self._threads[thread] = seat
        self._idle.append(seat)
        thread.start()
        return True

    def stop(self) -> None:
        """End each thread once its call has ended; does not wait longer than a few seconds for all of them."""
        deadline = time.monotonic() + STOP_SECONDS
        with self._lock:
            self._stopping = True
        for seat in self._threads.values():
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
