"""Sealing and opening what a credential holds. Bound to its row: copied into another, it does not open."""

from collections.abc import Mapping

from django.conf import settings

from flowforge.core import json
from flowforge.core.crypto import KeyRing, key_ring
from flowforge.credentials.constants import RING
from flowforge.credentials.models import Credential

Data = Mapping[str, str | int]


def seal(row: Credential, data: Data) -> bytes:
    return _ring().seal(json.dumps(dict(data)), context=_place(row))


def unseal(row: Credential) -> dict[str, str | int]:
    """Raises Unsealable."""
    raw = _ring().unseal(row.data_ciphertext, context=_place(row))
    found: dict[str, str | int] = json.loads_trusted(raw)  # as `seal` wrote it
    return found


def _ring() -> KeyRing:
    return key_ring(tuple(settings.SECRET_KEYS), RING)


def _place(row: Credential) -> str:
    return f"{row._meta.label_lower}:{row.pk}:data"
