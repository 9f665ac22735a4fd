"""Idle threads: work that starts at once, or is refused."""

import logging
import queue
import threading
from collections.abc import Callable

from django.db import connections

log = logging.getLogger("flowforge.worker")


class IdleThreads:
    """A few threads that take a call only if one of them is idle; whoever is refused goes another way."""

    def __init__(self, count: int, name: str) -> None:
        self._lock = threading.Lock()
        self._name = name
        self._idle = 0
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        for _ in range(count):
            self.grow()

    def grow(self) -> None:
        """One thread more."""
        thread = threading.Thread(target=self._loop, name=f"{self._name}-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()
        with self._lock:
            self._idle += 1

    def offer(self, call: Callable[[], None]) -> bool:
        """Have `call` run now; False if every thread is busy."""
        with self._lock:
            if self._idle == 0:
                return False
            self._idle -= 1
        self._calls.put(call)
        return True

    def stop(self) -> None:
        """End each thread once its call has ended; does not wait longer than a few seconds for any."""
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join(timeout=5)

    def _loop(self) -> None:
        try:
            while (call := self._calls.get()) is not None:
                try:
                    call()
                except Exception:
                    log.exception("a hint could not be answered")
                    connections.close_all()  # perhaps it was this thread's that failed: the next call has a fresh one
                with self._lock:
                    self._idle += 1
        finally:
            connections.close_all()
