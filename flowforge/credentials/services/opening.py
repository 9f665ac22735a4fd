"""Opening credentials for a step, at its start and no earlier."""

import uuid
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import unquote, urlsplit

from django.db.models import Q

from flowforge.core.crypto import Unsealable
from flowforge.credentials.constants import PUBLIC_FIELDS
from flowforge.credentials.models import Credential
from flowforge.credentials.services.sealing import Data, unseal

USED_EVERY: Final = timedelta(minutes=1)  # `last_used_at` is written so often at most


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """A credential in the clear, for as long as an attempt lasts."""

    name: str
    type: str
    hosts: list[str]
    expires_at: datetime | None
    is_readable: bool  # False: no key of this server opens it
    data: Data = field(repr=False)

    @property
    def secrets(self) -> Iterator[str]:
        """The texts to be masked wherever they turn up."""
        for name, value in self.data.items():
            if name not in PUBLIC_FIELDS:
                yield str(value)
        yield from _of_url(str(self.data.get("url", "")))


def open_credentials(
    *, project_id: uuid.UUID, names: Iterable[str], used: Collection[str], now: datetime
) -> dict[str, Opened]:
    """The project's credentials of these names, expired ones too; notes that those in `used` are used now."""
    rows = list(Credential.objects.filter(project_id=project_id, name__in=set(names)).order_by())
    _note_use([row for row in rows if row.name in used], now)
    return {row.name: _opened(row) for row in rows}


def _opened(row: Credential) -> Opened:
    data: Data = {}
    is_readable = True
    try:
        data = unseal(row)
    except Unsealable:
        is_readable = False
    return Opened(
        name=row.name,
        type=row.type,
        hosts=row.hosts,
        expires_at=row.expires_at,
        is_readable=is_readable,
        data=data,
    )


def _note_use(rows: Iterable[Credential], now: datetime) -> None:
    """Whoever comes within the minute finds nothing to write."""
    stale = [row.pk for row in rows if row.last_used_at is None or row.last_used_at <= now - USED_EVERY]
    if stale:
        unused = Q(last_used_at=None) | Q(last_used_at__lte=now - USED_EVERY)
        Credential.objects.filter(unused, pk__in=stale).update(last_used_at=now)


def _of_url(url: str) -> Iterator[str]:
    """The password that a database's URL carries, as it is written and as it is meant."""
    try:
        password = urlsplit(url).password
    except ValueError:
        return
    if password:
        yield from {password, unquote(password)}
