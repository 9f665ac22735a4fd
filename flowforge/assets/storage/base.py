"""What a store of blobs is. Keys are made by us alone: `<project id>/<blob id>`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol


class StoreFailed(Exception):
    """The store is away, refuses, or has lost a blob; the message says which. Another attempt may help."""


class Store(Protocol):
    """Blobs by key. Each call may take as long as disks and networks do: none is made within a transaction."""

    def put(self, key: str, source: Path) -> None:
        """Keep the file `source`, which may be moved: once this returns, the blob survives a loss of power.

        Nobody reads half of it. Raises StoreFailed.
        """
        ...

    def read(self, key: str, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` up to, without, `end`, in pieces. Raises StoreFailed, also where fewer come."""
        ...

    def delete(self, key: str) -> None:
        """Remove it, and what an interrupted `put` has left of it; nothing if there is none. Raises StoreFailed."""
        ...

    def check(self) -> None:
        """Raises StoreFailed if it does not answer, or does not let us in."""
        ...
