"""Removing blobs that nobody needs: what a deleted asset leaves, and what died before a version took it.

Rows say what that is; the store is never listed. Any number of processes may sweep: removing twice is no harm.
"""

import logging
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q

from flowforge.assets.constants import CONDEMNED, KEPT, WRITING
from flowforge.assets.models import Blob
from flowforge.assets.services import spooling, storing
from flowforge.assets.storage import store

ABANDONED_AFTER: Final = timedelta(hours=6)  # no upload takes longer to reach the store
GRACE: Final = timedelta(hours=1)  # who reads what was deleted meanwhile comes to its end
LIMIT: Final = 100  # blobs a round

log = logging.getLogger("flowforge.assets")


def run_once(now: datetime, limit: int = LIMIT) -> int:
    """One round; says how many blobs were removed from the store here."""
    spooling.remove_stale(now)
    _give_up(now)
    removed = sum(_remove(blob, now) for blob in _due(now, limit))
    if removed:
        log.info("assets: %s blobs that nobody needs were removed", removed)
    return removed


def _give_up(now: datetime) -> None:
    """Guarded by the state that `storing.keep` moves on from: a blob is either kept or condemned, never both."""
    dead = Q(state=WRITING, state_at__lte=now - ABANDONED_AFTER)
    ownerless = Q(project=None, state=KEPT, asset_version=None)  # its project's row was deleted by hand
    for condition in (dead, ownerless):
        ids = list(Blob.objects.filter(condition).order_by().values_list("pk", flat=True)[:LIMIT])
        if ids:
            Blob.objects.filter(condition, pk__in=ids).update(state=CONDEMNED, state_at=now)


def _due(now: datetime, limit: int) -> list[Blob]:
    return list(Blob.objects.filter(state=CONDEMNED, state_at__lte=now - GRACE).order_by("state_at")[:limit])


def _remove(blob: Blob, now: datetime) -> bool:
    """The bytes first: a process that dies in between leaves a row that says so. Those that fail wait their turn."""
    if not storing.remove(blob.key, store()):
        Blob.objects.filter(pk=blob.pk, state=CONDEMNED).update(state_at=now)
        return False
    return Blob.objects.filter(pk=blob.pk, state=CONDEMNED).delete()[0] > 0
