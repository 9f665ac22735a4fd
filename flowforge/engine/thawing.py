"""Letting go of what a freeze has held back, at its pace: a part of the sweep, safe for any number of sweepers.

A freeze goes through `frozen`, `thawing` and `thawed`; the last one is kept for a minute, for drivers that had claimed
a run before it was over and hold it back only now.
"""

import math
import uuid
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings

from flowforge.core import bell
from flowforge.engine.store import holds
from flowforge.engine.store.holds import HoldRow
from flowforge.engine.store.sql import write
from flowforge.kernel import durations
from flowforge.operating.constants import FROZEN, THAWED, THAWING

MAX_RELEASED: Final = 500  # runs a sweep
MAX_DEBT_SECONDS: Final = 2.0  # a sweep that comes late makes up for so much, not for an hour
LINGER: Final = timedelta(seconds=60)


def run_once(now: datetime) -> int:
    """Let go of what may begin by now; says how many runs."""
    return sum(_advance(scope_id, now) for scope_id in holds.unsettled(now))


def allowance(paced_to: datetime, rate: str, now: datetime) -> tuple[int, datetime]:
    """(how many may begin now, up to which moment that counts): one each `seconds / limit` since `paced_to`."""
    limit, seconds = durations.parse_rate(rate)
    interval = seconds / limit
    count = math.floor((now - paced_to).total_seconds() / interval)
    most = min(max(1, math.ceil(MAX_DEBT_SECONDS / interval)), MAX_RELEASED)
    if count > most:
        return most, now
    return count, paced_to + timedelta(seconds=count * interval)


def _advance(scope_id: uuid.UUID, now: datetime) -> int:
    with write() as cursor:
        hold = holds.lock(cursor, scope_id)
        if hold is None or not _thaws(hold, now):
            return 0
        count, hold.paced_to = _due(hold, now)
        holds.store(cursor, hold)
        released = holds.let_go(cursor, hold, count, now) if count else []
        if hold.status == THAWED and not released and now - hold.paced_to >= LINGER:
            holds.remove(cursor, hold)
        if hold.status == THAWING and not holds.any_held(cursor, hold):
            hold.status, hold.paced_to = THAWED, now
            holds.store(cursor, hold)
    for run_id in released:
        bell.drive_now(run_id)
    return len(released)


def _thaws(hold: HoldRow, now: datetime) -> bool:
    """Whether there is something to let go; a freeze whose time is up begins to thaw."""
    if hold.status != FROZEN:
        return True
    if hold.until is None or hold.until > now:
        return False
    limit, seconds = durations.parse_rate(settings.THAW_RATE)
    hold.status, hold.until, hold.rate = THAWING, None, settings.THAW_RATE
    hold.paced_to = now - timedelta(seconds=seconds / limit)
    return True


def _due(hold: HoldRow, now: datetime) -> tuple[int, datetime]:
    paced_to = hold.paced_to or now
    if hold.status == THAWED:
        return MAX_RELEASED, paced_to
    return allowance(paced_to, hold.rate, now)
