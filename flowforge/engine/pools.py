"""The worker pools: which queues there are and how many threads a process gives each."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from django.conf import settings

from flowforge.core.bell import CONTROL_QUEUE

draining = threading.Event()
"""Set once this process is about to end: nothing is claimed any more, what runs is finished or handed back."""

_slots: dict[str, threading.BoundedSemaphore] = {}


def open_slots(counts: Mapping[str, int]) -> None:
    """Let at most so many hints of each queue be answered at a time in this process, whichever way they come."""
    _slots.clear()
    _slots.update({queue: threading.BoundedSemaphore(count) for queue, count in counts.items()})


@contextmanager
def slot(queue: str) -> Iterator[None]:
    """Hold one of the queue's slots, waiting for it; a queue that was not opened has no bound."""
    semaphore = _slots.get(queue)
    if semaphore is None:
        yield
        return
    with semaphore:
        yield


def is_full(queue: str) -> bool:
    """Whether a hint would have to wait: as far as can be said without taking a slot."""
    semaphore = _slots.get(queue)
    if semaphore is None or not semaphore.acquire(blocking=False):
        return semaphore is not None
    semaphore.release()
    return False


def threads() -> dict[str, int]:
    """Queue -> threads of one process."""
    return {
        CONTROL_QUEUE: settings.CONTROL_THREADS,
        "default": settings.DEFAULT_THREADS,
        "process": settings.PROCESS_THREADS,
    }


def width(queue: str) -> int:
    """How many workers of a queue are worth waking for one run."""
    return threads().get(queue, 1)
