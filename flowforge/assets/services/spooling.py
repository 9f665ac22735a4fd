"""Content on its way in: a private file of this machine, counted and hashed while it is written."""

import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from django.conf import settings

from flowforge.assets.constants import PIECE_BYTES
from flowforge.core.errors import BodyTooLarge

STALE: Final = timedelta(hours=1)  # since something was last written to it: whoever wrote is dead


@dataclass(frozen=True, kw_only=True, slots=True)
class Spooled:
    """Content that has come, whole."""

    path: Path
    size: int  # bytes
    sha256: str  # in hexadecimal


class Spool:
    """Takes pieces. `write` while they come, `finish` once."""

    def __init__(self, path: Path, limit: int) -> None:
        self._path = path
        self._limit = limit
        self._size = 0
        self._digest = hashlib.sha256()
        self._file = open(path, "xb", opener=_private)  # noqa: SIM115  closed by `finish` and `close`

    def write(self, piece: bytes) -> None:
        """Raises BodyTooLarge (413) where it becomes more than may be uploaded."""
        self._size += len(piece)
        if self._size > self._limit:
            raise BodyTooLarge(detail=f"The content has more than the {self._limit} bytes that may be uploaded.")
        self._digest.update(piece)
        self._file.write(piece)

    def finish(self) -> Spooled:
        self._file.close()
        return Spooled(path=self._path, size=self._size, sha256=self._digest.hexdigest())

    def close(self) -> None:
        """Remove what is left: nothing, where the store has taken the file."""
        self._file.close()
        self._path.unlink(missing_ok=True)


@contextmanager
def spool() -> Iterator[Spool]:
    """A file for the length of the block."""
    folder = _folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    opened = Spool(folder / secrets.token_hex(16), limit())
    try:
        yield opened
    finally:
        opened.close()


def limit() -> int:
    """How many bytes a content may have."""
    found: int = settings.MAX_UPLOAD_BYTES
    return found


def pieces_of(source: Path) -> Iterator[bytes]:
    with open(source, "rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def spooled(into: Spool, pieces: Iterable[bytes]) -> Spooled:
    """All of the pieces. Raises BodyTooLarge (413)."""
    for piece in pieces:
        into.write(piece)
    return into.finish()


def remove_stale(now: datetime) -> int:
    """Remove what processes that died have left on this machine; says how much."""
    count, before = 0, (now - STALE).timestamp()
    folder = _folder()
    for path in folder.iterdir() if folder.is_dir() else ():
        try:
            if path.stat().st_mtime < before:
                path.unlink()
                count += 1
        except FileNotFoundError:
            continue  # another process sweeps, too, or an upload has come to its end
    return count


def _folder() -> Path:
    home: Path = settings.HOME
    return home / "assets" / "incoming"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
