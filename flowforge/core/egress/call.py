"""One outgoing call: its deadline, and how it is ended from another thread while it blocks."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from flowforge.core.egress.errors import EgressCancelled, EgressTimeout


class Cancellable(Protocol):
    """What a caller hands in to be able to stop a call; a step's CancelToken is one."""

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Call `callback` once it has to stop, at once if that is so already."""
        ...


class Call:
    """Everything that blocks during a call does so inside `blocking`."""

    def __init__(self, timeout_seconds: float, cancel: Cancellable | None = None) -> None:
        self._timeout_seconds = timeout_seconds
        self._ends_at = time.monotonic() + timeout_seconds
        self._lock = threading.Lock()  # over the two below
        self._is_cancelled = False
        self._interrupt: Callable[[], None] | None = None
        if cancel is not None:
            cancel.on_cancel(self._cancel)

    @contextmanager
    def blocking(self, interrupt: Callable[[], None]) -> Iterator[float]:
        """Block at most the seconds that this gives; `interrupt` ends it from another thread.

        `interrupt` is called only within the block, so what it shuts down still is what it was. Raises
        EgressCancelled and EgressTimeout, also in place of what the interrupted operation raises.
        """
        with self._lock:
            if self._is_cancelled:
                raise EgressCancelled
            self._interrupt = interrupt
        try:
            yield self._remaining()
        except TimeoutError:
            raise self._timed_out() from None
        except Exception:
            if self._is_cancelled:
                raise EgressCancelled from None
            raise
        finally:
            with self._lock:
                self._interrupt = None
        if self._is_cancelled:
            raise EgressCancelled

    def check(self) -> None:
        """Raises EgressTimeout once the deadline has passed."""
        self._remaining()

    def _remaining(self) -> float:
        seconds = self._ends_at - time.monotonic()
        if seconds <= 0:
            raise self._timed_out()
        return seconds

    def _timed_out(self) -> EgressTimeout:
        return EgressTimeout(detail=f"no complete answer within {self._timeout_seconds:g} s")

    def _cancel(self) -> None:
        with self._lock:
            self._is_cancelled = True
            if self._interrupt is not None:
                self._interrupt()


current_call: ContextVar[Call] = ContextVar("current_call")
"""Of this thread. The pool below hands a connection no more than a timeout for each read; a call has one for all."""
