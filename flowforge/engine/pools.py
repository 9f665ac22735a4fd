"""The worker pools: which queues there are and how many threads a process gives each."""

import threading

from django.conf import settings

from flowforge.core.bell import CONTROL_QUEUE

draining = threading.Event()
"""Set once this process is about to end: nothing is claimed any more, what runs is finished or handed back."""


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
