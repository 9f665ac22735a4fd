"""The database is away: what to make of it where a step has asked the engine for something, or has just been done."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from django.db import Error, connection

from flowforge.api.problems import is_outage

FIRST_PAUSE_SECONDS = 0.05  # doubled from try to try
LONGEST_PAUSE_SECONDS = 0.5

log = logging.getLogger("flowforge.engine")
pause = time.sleep
T = TypeVar("T")


class DatabaseAway(Exception):
    """What a step asked for could not be done just now. No fault of the step's: the attempt is handed back."""


@contextmanager
def told_apart() -> Iterator[None]:
    """Raises DatabaseAway for an outage; what else goes wrong is what it is. The next statement connects anew."""
    try:
        yield
    except Error as error:
        if not is_outage(error):
            raise
        if not connection.in_atomic_block:
            connection.close()
        raise DatabaseAway from error


def patiently(call: Callable[[], T], *, until: float) -> T:
    """Call again, each time on a fresh connection, while the database is away; what it says after `until` (monotonic)
    is raised. For what may be asked twice: of a commit whose answer was lost nobody knows whether it was made."""
    seconds = FIRST_PAUSE_SECONDS
    while True:
        try:
            return call()
        except Error as error:
            if not is_outage(error) or time.monotonic() + seconds >= until:
                raise
            log.warning("the database is away, trying again in %g s: %s", seconds, error)
        if not connection.in_atomic_block:
            connection.close()
        pause(seconds)
        seconds = min(seconds * 2, LONGEST_PAUSE_SECONDS)
