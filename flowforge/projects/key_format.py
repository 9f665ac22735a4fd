"""How an API key looks: `ffk_`, 32 random bytes and a checksum of 6 characters, all base64url."""

import base64
import hashlib
import hmac
import re
import secrets
from typing import Final

from flowforge.projects.constants import KEY_PREFIX

MIN_LENGTH: Final = 16  # of a key that the operator chose
MAX_LENGTH: Final = 256
_FRESH: Final = re.compile(re.escape(KEY_PREFIX) + r"([A-Za-z0-9_-]{43})([A-Za-z0-9_-]{6})")
_SHOWN: Final = 12


def generate() -> str:
    """A fresh key with 256 random bits."""
    secret = secrets.token_urlsafe(32)
    return KEY_PREFIX + secret + _checksum(secret)


def hash_of(key: str) -> str:
    """SHA-256, as hex. A slow hash would add nothing: there is no dictionary of 256 random bits."""
    return hashlib.sha256(key.encode()).hexdigest()


def prefix_of(key: str) -> str:
    """What people recognise a key by: never more than a quarter of it."""
    return key[: min(_SHOWN, len(key) // 4)]


def is_plausible(key: str) -> bool:
    """Whether looking the key up makes sense.

    What has the shape of a key made here must have its checksum, so that a typing error costs no query; operators
    may choose other texts (FLOWFORGE_API_KEY) of 16 to 256 characters.
    """
    if not MIN_LENGTH <= len(key) <= MAX_LENGTH:
        return False
    fresh = _FRESH.fullmatch(key)
    return fresh is None or hmac.compare_digest(fresh[2], _checksum(fresh[1]))


def _checksum(secret: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest())[:6].decode()
