"""The worker pools: which queues there are and how many threads a process gives each."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from django.conf import settings

from flowforge.core.bell import CONTROL_QUEUE

draining = threading.Event()
"""Set once this process is about to end: nothing is claimed any more, what runs is finished or handed back."""

IN_PLACE = "default"  # the queue whose sole step a driver does by itself
PARKED_FOR_EACH = 32  # threads that may sit in a long step for each that drives, before steps go to the workers
_slots: dict[str, threading.BoundedSemaphore] = {}
_here = threading.local()
_elsewhere: dict[str, int] = {}
_grow: list[Callable[[str], None]] = []  # adds a thread to a queue's pool
MAX_WIDTH = 64


class _Slot:
    """A place among those that work at a time; given back once, at the end or before a long wait."""

    def __init__(self, semaphore: threading.BoundedSemaphore) -> None:
        semaphore.acquire()
        self._semaphore: threading.BoundedSemaphore | None = semaphore
        self._lock = threading.Lock()

    def release(self) -> None:
        with self._lock:
            semaphore, self._semaphore = self._semaphore, None
        if semaphore is not None:
            semaphore.release()


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
    _here.slot = found = _Slot(semaphore)
    _here.queue = queue
    try:
        yield
    finally:
        _here.slot = _here.queue = None
        found.release()


def slot_of_this_thread() -> Callable[[], None] | None:
    """What gives this thread's slot back early: a step that turns out long must not keep others from work."""
    found: _Slot | None = getattr(_here, "slot", None)
    return None if found is None else found.release


def grow_by(grow: Callable[[str], None] | None) -> None:
    """Who adds a thread to a queue's pool in this process; None: nobody."""
    _grow[:] = [] if grow is None else [grow]


def spare_for_this_thread() -> Callable[[], None] | None:
    """What puts another thread in the place of this one, should it never come back; None if it has no slot."""
    found: _Slot | None = getattr(_here, "slot", None)
    if found is None:
        return None
    queue: str = _here.queue

    def spare() -> None:
        for grow in _grow:
            grow(queue)
        found.release()

    return spare


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


def learn(slots: Mapping[str, int]) -> None:
    """How many slots the live workers of each queue have: `engine.fleet` looks once in a while."""
    _elsewhere.clear()
    _elsewhere.update(slots)


def width(queue: str) -> int:
    """How many workers of a queue are worth waking for one run."""
    return threads().get(queue) or min(_elsewhere.get(queue, 1), MAX_WIDTH)
