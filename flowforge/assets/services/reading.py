"""The bytes of a version, from its row or from the store."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from flowforge.assets.models import AssetVersion
from flowforge.assets.storage import StoreFailed, store


def pieces(version: AssetVersion, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """From `start` up to, without, `end`. Raises StoreFailed."""
    end = version.size if end is None else end
    if version.text is not None:
        yield version.text.encode()[start:end]
        return
    assert version.blob is not None  # noqa: S101  a constraint of the table: it has one or the other
    if start < end:
        yield from store().read(version.blob.key, start, end)


def copy(version: AssetVersion, into: Path, between: Callable[[], None]) -> None:
    """The whole content to a file; `between` is called before each piece. Raises StoreFailed, also for other bytes."""
    digest = hashlib.sha256()
    with open(into, "wb") as file:
        for piece in pieces(version):
            between()
            digest.update(piece)
            file.write(piece)
    if digest.hexdigest() != version.sha256:
        raise StoreFailed("the store gave other bytes than it was given")
