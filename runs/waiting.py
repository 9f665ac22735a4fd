"""Waiting for a run to end: told by the engine of this process, and looking now and then for that of others."""

import threading
import time
import uuid

from django.conf import settings
from django.db import connection

from flowforge.core.prepared import prepared
from flowforge.kernel.states import ENDED_RUN_STATUSES
from runs.models import Run

SHORTEST_PAUSE_SECONDS = 0.05 if settings.EMBEDDED else 0.002  # the only process is told: it need not look
LONGEST_PAUSE_SECONDS = 0.25
PAUSE_SHARE = 0.1  # of the time that has gone by: an end is seen late by a tenth of what it took, at most
_SPARE_THREADS = 4  # of the web server's, kept free of callers who wait

_ID = Run._meta.get_field("id")
_waiters: dict[uuid.UUID, set[threading.Event]] = {}
_lock = threading.Lock()
_closing = threading.Event()
_places = threading.BoundedSemaphore(max(1, settings.WEB_THREADS - _SPARE_THREADS))


def notify_ended(run_id: uuid.UUID) -> None:
    """Wake whoever in this process waits for the run; called once its terminal state is committed."""
    with _lock:
        for event in _waiters.get(run_id, ()):
            event.set()


def close() -> None:
    """Let nobody wait any longer: the process is about to end, and callers get what there is."""
    _closing.set()
    with _lock:
        for events in _waiters.values():
            for event in events:
                event.set()


def wait_until_ended(run_id: uuid.UUID, seconds: float) -> bool:
    """Block until the run has ended or the time is up; True if it has ended.

    Where too many callers wait already, it looks once and gives up: waiting must not use up the web server's threads.
    """
    if not _places.acquire(blocking=False):
        return _has_ended(run_id)
    event = threading.Event()
    with _lock:
        _waiters.setdefault(run_id, set()).add(event)
    try:
        return _look_until(run_id, event, time.monotonic() + seconds)
    finally:
        with _lock:
            _waiters[run_id].discard(event)
            if not _waiters[run_id]:
                del _waiters[run_id]
        _places.release()


def _look_until(run_id: uuid.UUID, event: threading.Event, deadline: float) -> bool:
    """The first look comes after the waiter is known: an end between the two is seen by one of them."""
    began = time.monotonic()
    while not _has_ended(run_id):
        now = time.monotonic()
        remaining = deadline - now
        pause = min(max(SHORTEST_PAUSE_SECONDS, (now - began) * PAUSE_SHARE), LONGEST_PAUSE_SECONDS)
        if remaining <= 0 or _closing.is_set():
            return False
        if event.wait(min(pause, remaining)) and not _closing.is_set():
            return True
    return True


def _has_ended(run_id: uuid.UUID) -> bool:
    """Asked again and again: it costs next to nothing."""
    with prepared() as cursor:
        cursor.execute("SELECT status FROM runs_run WHERE id = %s", [_ID.get_db_prep_value(run_id, connection)])
        row = cursor.fetchone()
    return row is not None and row[0] in ENDED_RUN_STATUSES
