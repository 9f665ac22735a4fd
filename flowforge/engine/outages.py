"""The database is away: what to make of it where a step has asked the engine for something."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import Error, connection

from flowforge.api.problems import is_outage


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
