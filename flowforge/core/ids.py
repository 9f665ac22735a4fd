"""Keys: UUIDv7 (RFC 9562), so that the newest rows lie together in every index."""

import hashlib
import uuid

from uuid_utils.compat import uuid7

_LOW_62 = (1 << 62) - 1


def new_id() -> uuid.UUID:
    """A fresh UUIDv7; monotonic within this process."""
    return uuid7()


def step_id(run_id: uuid.UUID, node_id: str, index: int | None = None) -> uuid.UUID:
    """The id of a step: the same for the same run, node and map index, whoever asks.

    UUIDv7-shaped: the run's own 48-bit timestamp, then 74 bits of BLAKE2b over (run, node, index). A step that
    has no row yet therefore already has its id, and two writers cannot create the same step twice.
    """
    text = f"{node_id}\x1f{'' if index is None else index}".encode()
    digest = int.from_bytes(hashlib.blake2b(text, digest_size=10, key=run_id.bytes).digest(), "big")
    timestamp = run_id.int >> 80
    rand_a, rand_b = digest >> 68, digest & _LOW_62
    return uuid.UUID(int=(timestamp << 80) | (0x7 << 76) | (rand_a << 64) | (0b10 << 62) | rand_b)
