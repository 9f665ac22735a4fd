"""Files inside the operator's file roots, and nowhere else.

A path is resolved first (links, `..`) and has to lie inside a root then; it is opened folder by folder from that root
without following any link, so that what is swapped in between is refused, not followed (CWE-367).
"""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flowforge.steps.base import CancelToken, StepCancelled
from flowforge.steps.data.failures import DataFailure

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DRAFT: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK: Final = 4 * 1024**2


@dataclass(frozen=True, kw_only=True, slots=True)
class Inside:
    """A path within a file root."""

    root: Path
    path: Path  # absolute, no links in it when it was looked at

    @property
    def parts(self) -> tuple[str, ...]:
        """Relative to its root."""
        return self.path.relative_to(self.root).parts


def inside(path: str, roots: Sequence[Path]) -> Inside:
    """The file that a path names: absolute, or below the first root. Raises DataFailure."""
    if not roots:
        raise DataFailure("file_refused", "No folders are opened to steps here (FLOWFORGE_FILE_ROOTS).")
    wanted = Path(path) if path.startswith("/") else roots[0] / path
    try:
        found = wanted.resolve()
        real_roots = [root.resolve() for root in roots]
    except (OSError, RuntimeError) as error:  # a loop of links
        raise DataFailure("file_refused", f"{path} cannot be looked up: {_reason(error)}") from None
    for root in real_roots:
        if found != root and found.is_relative_to(root):
            return Inside(root=root, path=found)
    raise DataFailure("file_refused", f"{path} lies outside the folders that are opened to steps.")


def inside_or_below(path: str, roots: Sequence[Path]) -> Inside:
    """As `inside`, but `/a.db` that lies in no root is taken as `a.db` below the first: SQLite's usual URLs."""
    if path.startswith("//") or not path.startswith("/"):
        return inside("/" + path.lstrip("/"), roots)
    try:
        return inside(path, roots)
    except DataFailure:
        return inside(path.lstrip("/"), roots)


def bring(place: Inside, into: Path, *, max_bytes: int, cancel: CancelToken) -> int:
    """The file at `into`: the very same one (a hard link) if that can be, else a copy. Gives its size.

    Not to be written to. Raises DataFailure.
    """
    with _failing(place), _folder(place) as folder, _opened(place, folder) as source:
        size = os.fstat(source).st_size
        if size > max_bytes:
            raise too_large(max_bytes)
        try:
            os.link(f"/proc/self/fd/{source}", into, follow_symlinks=True)
        except OSError:  # another file system, another owner's, no /proc
            _copy(source, into, max_bytes, cancel)
    return size


def exists(place: Inside) -> bool:
    return os.path.lexists(place.path)


def put(place: Inside, source: Path, *, replace: bool, token: str, cancel: CancelToken) -> None:
    """Make `source` the file at this place, at once and durably; it is used up. `token`: the same for every attempt.

    Whoever reads finds the old file or the new one, whole. Raises DataFailure, `target_exists` without `replace`.
    """
    name = place.parts[-1]
    prefix = f".{name[:100]}.{token}."
    with _failing(place), _folder(place, create=True) as folder:
        _refuse_folder(folder, name)
        _remove_drafts(folder, prefix)
        draft = f"{prefix}{secrets.token_hex(8)}.part"
        try:
            _draft(folder, draft, source, cancel)
            if replace:
                os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
            else:
                os.link(draft, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        except FileExistsError:
            raise DataFailure("target_exists", f"{place.path.name} exists already.") from None
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(draft, dir_fd=folder)
        os.fsync(folder)


def too_large(max_bytes: int) -> DataFailure:
    return DataFailure("too_large", f"There are more than {max_bytes} bytes, which is the operator's limit.")


@contextlib.contextmanager
def _failing(place: Inside) -> Iterator[None]:
    """The system's errors as ours."""
    try:
        yield
    except FileNotFoundError:
        raise DataFailure("not_found", f"There is no file {place.path.name}.") from None
    except OSError as error:
        refused = error.errno in (errno.ELOOP, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR)
        code = "file_refused" if refused else "file_error"
        raise DataFailure(code, f"{place.path.name}: {_reason(error)}", retryable=not refused) from None


@contextlib.contextmanager
def _folder(place: Inside, *, create: bool = False) -> Iterator[int]:
    """A descriptor of the folder that the file is in, reached from its root without a link."""
    if create:
        place.root.mkdir(parents=True, exist_ok=True)
    current = os.open(place.root, _FOLDER)
    try:
        for part in place.parts[:-1]:
            if create:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, dir_fd=current)
            following = os.open(part, _FOLDER, dir_fd=current)
            os.close(current)
            current = following
        yield current
    finally:
        os.close(current)


@contextlib.contextmanager
def _opened(place: Inside, folder: int) -> Iterator[int]:
    # O_NONBLOCK: a named pipe must not hold us up
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    source = os.open(place.parts[-1], flags, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(source).st_mode):
            raise DataFailure("file_refused", f"{place.path.name} is not a regular file.")
        yield source
    finally:
        os.close(source)


def _draft(folder: int, draft: str, source: Path, cancel: CancelToken) -> None:
    """`source` in the folder under the draft's name, on disk, with the mode that a new file has here."""
    made = os.open(draft, _DRAFT, 0o666, dir_fd=folder)
    try:
        mode = stat.S_IMODE(os.fstat(made).st_mode)
        try:
            os.chmod(source, mode)
            os.rename(source, draft, dst_dir_fd=folder)
        except OSError:  # another file system
            with open(source, "rb") as taken:
                _pour(taken.fileno(), made, cancel)
            os.fsync(made)
            return
    finally:
        os.close(made)
    moved = os.open(draft, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.fsync(moved)
    finally:
        os.close(moved)


def _copy(source: int, into: Path, max_bytes: int, cancel: CancelToken) -> None:
    with open(into, "xb") as target:
        if _pour(source, target.fileno(), cancel) > max_bytes:
            raise too_large(max_bytes)


def _pour(source: int, target: int, cancel: CancelToken) -> int:
    """All bytes from here to there within the kernel; how many they were. Raises StepCancelled."""
    size = 0
    while sent := os.sendfile(target, source, size, _CHUNK):
        size += sent
        if cancel.is_set:
            raise StepCancelled(cancel.reason)
    return size


def _remove_drafts(folder: int, prefix: str) -> None:
    """Of earlier attempts that were killed; an attempt that lives on by mistake cannot put its own in place then."""
    for name in os.listdir(folder):
        if name.startswith(prefix) and name.endswith(".part"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)


def _refuse_folder(folder: int, name: str) -> None:
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode):
        raise DataFailure("file_refused", f"{name} is not a regular file.")


def _reason(error: BaseException) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or "it cannot be read"
