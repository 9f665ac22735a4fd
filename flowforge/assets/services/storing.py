"""Bytes into the store, around the transactions that say so.

A blob's row comes first (`writing`), the bytes then, and the version that takes it last: a process that dies in between
leaves a row that says what is to be removed, and never a version without its bytes.
"""

import contextlib
import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import transaction

from flowforge.assets.constants import CONDEMNED, KEPT, WRITING
from flowforge.assets.models import Blob
from flowforge.assets.services.quota import require_room
from flowforge.assets.services.spooling import Spooled
from flowforge.assets.storage import Store, StoreFailed, store
from flowforge.core import clock
from flowforge.core.errors import Conflict, Unavailable
from flowforge.core.failpoints import failpoint

log = logging.getLogger("flowforge.assets")


@contextmanager
def stored(project_id: uuid.UUID, content: Spooled) -> Iterator[Blob]:
    """The content in the store, its blob for a version to take; removed again where none has taken it.

    Outside any transaction. Raises QuotaExceeded (409), Unavailable (503) where the store fails.
    """
    blob = _reserve(project_id, content.size)
    try:
        failpoint("asset.reserved")
        _put(blob, content)
        failpoint("asset.stored")
        yield blob
    finally:
        condemn(blob)


def keep(blob: Blob) -> None:
    """Within the transaction that writes its version. Raises Conflict (409) where it was given up meanwhile."""
    mine = Blob.objects.filter(pk=blob.pk, state=WRITING)
    if mine.update(state=KEPT, state_at=clock.now()) != 1:
        raise Conflict(detail="This took so long that what was uploaded has been removed: send it again.")


def condemn(blob: Blob) -> bool:
    """No version has taken it: the sweep removes it. False where one has, or it is condemned already."""
    return Blob.objects.filter(pk=blob.pk, state=WRITING).update(state=CONDEMNED, state_at=clock.now()) == 1


def _reserve(project_id: uuid.UUID, size: int) -> Blob:
    with transaction.atomic():
        require_room(project_id, size)
        blob = Blob(project_id=project_id, size=size, state_at=clock.now())
        blob.key = f"{project_id}/{blob.pk}"
        blob.save(force_insert=True)
    return blob


def _put(blob: Blob, content: Spooled) -> None:
    """A store of another kind than the default takes its time, and no connection of the database waits for it."""
    try:
        store().put(blob.key, content.path)
    except StoreFailed as error:
        log.warning("assets: the store did not take %s: %s", blob.key, error)
        raise Unavailable(detail="The store of assets does not take anything just now.") from error


def check_store() -> None:
    """Raises StoreFailed where it does not answer. The default is a folder of the home, which has looks of its own."""
    if settings.ASSET_STORE:
        store().check()


def remove(blob_key: str, where: Store) -> bool:
    """Whether its bytes are gone."""
    with contextlib.suppress(StoreFailed):
        where.delete(blob_key)
        return True
    log.warning("assets: the store did not remove %s", blob_key)
    return False
