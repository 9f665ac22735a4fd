"""Keys for one purpose each, derived from FLOWFORGE_SECRET_KEYS."""

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def derive(secret: str, purpose: str) -> bytes:
    """256 bits for `purpose` alone (HKDF, RFC 5869): what one key signs or seals says nothing about another."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"flowforge {purpose}".encode()).derive(secret.encode())
