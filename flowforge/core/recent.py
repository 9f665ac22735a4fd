"""What was read from the database a moment ago: hot callers cost no query, and a revocation holds within the TTL."""

import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class Recent(Generic[V]):
    """Values by key, each at most `ttl_seconds` old counted from before it was read; safe between threads."""

    def __init__(
        self, *, ttl_seconds: float, max_size: int = 10_000, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._ttl = ttl_seconds
        self._max_size = max_size
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._entries: dict[Hashable, tuple[float, V]] = {}

    def get(self, key: Hashable, load: Callable[[], V]) -> V:
        """The value, from `load()` unless a recent one is known."""
        begun = self._monotonic()
        entry = self._entries.get(key)
        if entry is not None and begun - entry[0] < self._ttl:
            return entry[1]
        value = load()
        self._put(key, begun, value)
        return value

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()

    def _put(self, key: Hashable, begun: float, value: V) -> None:
        with self._lock:
            if len(self._entries) >= self._max_size:  # strangers' garbage must not fill the memory
                self._entries.clear()
            self._entries[key] = (begun, value)
