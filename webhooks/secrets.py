"""Signing secrets: made, sealed at rest, opened to sign or verify with. Shown when they are made, and never again."""

import base64
import secrets
from datetime import datetime
from typing import Final

from django.conf import settings

from flowforge.core.crypto import KeyRing, key_ring
from webhooks.models import Secretive
from webhooks.signatures import PREFIX

_KEY_BYTES: Final = 32


def generate() -> str:
    """A fresh secret, as Standard Webhooks writes them."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


def seal(row: Secretive, secret: str) -> bytes:
    return _ring().seal(secret.encode(), context=_place(row))


def of(row: Secretive, now: datetime) -> list[str]:
    """The secrets that hold now, the newest first; two while one is rotated, none where none was ever set.

    Raises Unsealable.
    """
    sealed = [row.secret_ciphertext]
    if row.old_secret_expires_at is not None and row.old_secret_expires_at > now:
        sealed.append(row.old_secret_ciphertext)
    return [_ring().unseal(each, context=_place(row)).decode() for each in sealed if each is not None]


def _ring() -> KeyRing:
    return key_ring(tuple(settings.SECRET_KEYS), "webhooks")


def _place(row: Secretive) -> str:
    return f"{row._meta.label_lower}:{row.pk}:secret"
