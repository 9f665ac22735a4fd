"""Blobs as files below a folder."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flowforge.assets.constants import PIECE_BYTES
from flowforge.assets.storage.base import StoreFailed


class LocalStore:
    """`<root>/<key>`. Several machines need a folder that all of them see."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, key: str, source: Path) -> None:
        target = self._root / key
        with _told():
            _make_folder(target.parent, self._root)
            draft = source if _same_disk(source, target.parent) else _copied(source, _draft_of(target))
            _sync(draft)
            os.replace(draft, target)  # readers find nothing or all of it
            _sync(target.parent)  # the name, too, survives

    def read(self, key: str, start: int, end: int) -> Iterator[bytes]:
        with _told(), open(self._root / key, "rb") as file:
            file.seek(start)
            left = end - start
            while left > 0:
                piece = file.read(min(PIECE_BYTES, left))
                if not piece:
                    raise StoreFailed("the file is shorter than it was")
                left -= len(piece)
                yield piece

    def delete(self, key: str) -> None:
        with _told():
            for path in (self._root / key, _draft_of(self._root / key)):
                path.unlink(missing_ok=True)

    def check(self) -> None:
        with _told():
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            probe = self._root / f".check-{secrets.token_hex(8)}"
            try:
                probe.write_bytes(b"works")
            finally:
                probe.unlink(missing_ok=True)


@contextmanager
def _told() -> Iterator[None]:
    """What the disk says, in words that give no path away."""
    try:
        yield
    except OSError as error:
        raise StoreFailed(error.strerror or type(error).__name__) from error


def _draft_of(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def _same_disk(source: Path, folder: Path) -> bool:
    return source.stat().st_dev == folder.stat().st_dev


def _copied(source: Path, draft: Path) -> Path:
    with open(source, "rb") as reading, open(draft, "wb", opener=_private) as writing:
        shutil.copyfileobj(reading, writing, PIECE_BYTES)
    return draft


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _make_folder(folder: Path, root: Path) -> None:
    """It and what is above it, down from the root, each entry on disk."""
    if folder.is_dir():
        return
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    while folder != root:
        folder = folder.parent
        _sync(folder)


def _sync(path: Path) -> None:
    """To the disk itself, not only to its cache."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems cannot do it for folders
            raise
    finally:
        os.close(opened)
