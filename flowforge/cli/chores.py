"""What looks around every few seconds in every worker process, in a thread of its own: `settings.CHORES`.

Each is a function `run_once(now)` that does what is due, bounded, once however many processes ask at a time. What takes
long there keeps neither timers nor runs.
"""

import logging
import threading
from datetime import datetime
from typing import Final, Protocol

from django.conf import settings
from django.db import DatabaseError, connections
from django.utils.module_loading import import_string

from flowforge.core import clock

EVERY_SECONDS: Final = 10.0

log = logging.getLogger("flowforge.worker")


class Chore(Protocol):
    def __call__(self, now: datetime) -> object:
        """Do what is due."""
        ...


def run_once(now: datetime) -> None:
    """All of them; one that fails hinders no other."""
    for name in settings.CHORES:
        chore: Chore = import_string(name)
        try:
            chore(now)
        except DatabaseError as error:  # the database will be back: so shall we
            log.warning("chores: %s: %s", name, error)
            connections.close_all()
        except Exception:
            log.exception("chores: %s failed", name)


class Chores:
    """The thread. `start`, then `stop` once."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop, name="chores", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
            self._thread = None

    def _loop(self) -> None:
        try:
            while not self._stop.is_set():
                run_once(clock.now())
                self._stop.wait(EVERY_SECONDS)
        finally:
            connections.close_all()
