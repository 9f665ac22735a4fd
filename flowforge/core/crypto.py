"""Keys for one purpose each, derived from FLOWFORGE_SECRET_KEYS, and what is sealed with them at rest.

`key_ring(tuple(settings.SECRET_KEYS), "credentials")` seals with the newest secret and opens what any of them has
sealed. A sealed value says by which key it can be opened, so that old ones can be found and sealed anew:
`is_current`, `reseal`.
"""

import secrets
from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from flowforge.core.errors import FlowForgeError

_FORMAT: Final = b"\x01"  # format (1), key id (8), nonce (12), AES-256-GCM's ciphertext and tag
_ID_LENGTH: Final = 8
_NONCE_LENGTH: Final = 12  # random: good for 2^32 values a key (NIST SP 800-38D, 8.3)
_HEAD_LENGTH: Final = len(_FORMAT) + _ID_LENGTH
_TAG_LENGTH: Final = 16


class Unsealable(FlowForgeError):
    """What was stored cannot be opened: its key is gone, it was altered, or it is another row's."""

    code: ClassVar[str] = "unsealable"
    title: ClassVar[str] = "A stored secret cannot be opened"


def derive(secret: str, purpose: str) -> bytes:
    """256 bits for `purpose` alone (HKDF, RFC 5869): what one key signs or seals says nothing about another."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"flowforge {purpose}".encode()).derive(secret.encode())


class KeyRing:
    """Seals secrets for one purpose; safe to share between threads.

    `context` names the place that a value belongs to, such as `webhooks.endpoint:<id>:secret`: it is bound to the
    value as associated data, so that a sealed value copied into another row or column does not open there.
    """

    def __init__(self, secret_keys: Sequence[str], purpose: str) -> None:
        """`secret_keys`, newest first: the first seals, all of them open."""
        if not secret_keys:
            raise ValueError("a key ring needs a key")
        self._keys = {
            derive(secret, f"{purpose} key id")[:_ID_LENGTH]: AESGCM(derive(secret, f"{purpose} aes-256-gcm"))
            for secret in secret_keys
        }
        self._newest = next(iter(self._keys))

    def seal(self, plain: bytes, *, context: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE_LENGTH)
        head = _FORMAT + self._newest
        return head + nonce + self._keys[self._newest].encrypt(nonce, plain, _bound(head, context))

    def unseal(self, sealed: bytes | memoryview, *, context: str) -> bytes:
        """Raises Unsealable; never says more than that."""
        raw = bytes(sealed)  # databases give memoryviews
        head, rest = raw[:_HEAD_LENGTH], raw[_HEAD_LENGTH:]
        key = self._keys.get(head[len(_FORMAT) :])
        if key is None or head[: len(_FORMAT)] != _FORMAT or len(rest) < _NONCE_LENGTH + _TAG_LENGTH:
            raise Unsealable(detail="No key of FLOWFORGE_SECRET_KEYS opens it.")
        try:
            return key.decrypt(rest[:_NONCE_LENGTH], rest[_NONCE_LENGTH:], _bound(head, context))
        except InvalidTag:
            raise Unsealable(detail="It was altered, or belongs elsewhere.") from None

    def is_current(self, sealed: bytes | memoryview) -> bool:
        """Whether the newest key has sealed it."""
        return bytes(sealed[:_HEAD_LENGTH]) == _FORMAT + self._newest

    def reseal(self, sealed: bytes | memoryview, *, context: str) -> bytes:
        """The same value sealed with the newest key. Raises Unsealable."""
        return self.seal(self.unseal(sealed, context=context), context=context)


@lru_cache(maxsize=32)
def key_ring(secret_keys: tuple[str, ...], purpose: str) -> KeyRing:
    """This process's ring for a purpose: deriving its keys is done once."""
    return KeyRing(secret_keys, purpose)


def _bound(head: bytes, context: str) -> bytes:
    return head + context.encode()
