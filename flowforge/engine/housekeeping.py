"""Deleting what has expired: idempotency records, dedupe keys, logins, rate windows. Named in settings.HOUSEKEEPING."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Protocol

from django.conf import settings
from django.db import DatabaseError
from django.utils.module_loading import import_string

EVERY_SECONDS = 600.0
LIMIT = 1_000  # rows a call: no transaction is long
MAX_CALLS = 20  # of one purge in one round: the rest is for the next

log = logging.getLogger("flowforge.engine")


class Purge(Protocol):
    def __call__(self, *, now: datetime, limit: int) -> int:
        """Delete at most `limit` rows that have expired; says how many."""
        ...


@dataclass(slots=True)
class Kept:
    """How many rows each purge has deleted, by its name."""

    deleted: dict[str, int] = field(default_factory=dict)


def run_once(now: datetime, limit: int = LIMIT) -> Kept:
    """Call every purge until it finds little; one that fails hinders no other."""
    found = Kept()
    for name in settings.HOUSEKEEPING:
        purge: Purge = import_string(name)
        try:
            found.deleted[name] = _drain(partial(purge, now=now, limit=limit), limit)
        except DatabaseError as error:
            log.warning("housekeeping: %s: %s", name, error)
    return found


def _drain(purge: Callable[[], int], limit: int) -> int:
    total = 0
    for _ in range(MAX_CALLS):
        count = purge()
        total += count
        if count < limit:
            break
    return total
