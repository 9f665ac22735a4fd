"""Files inside the operator's file roots, and nowhere else.

A path is resolved first (links, `..`) and has to lie inside a root then; it is opened folder by folder from that root
without following any link, so that what is swapped in between is refused, not followed (CWE-367).
"""

import contextlib
import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flowforge.core.failpoints import failpoint
from flowforge.steps.base import CancelToken, StepCancelled
from flowforge.steps.data.failures import DataFailure

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DRAFT: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a named pipe must not hold us up
_MARKS: Final = "user.flowforge.written_by"  # an extended attribute: it comes and goes with the very file (xattr(7))
MAX_MARKS: Final = 40
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Brought:
    """What was brought."""

    size: int
    tag: str  # which state of the file it is
    marks: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class New:
    """What is to be put in place."""

    source: Path  # used up
    mark: str  # of the step that does so, the same for every attempt
    marks: tuple[str, ...] = ()  # of those before
    tag: str = ""  # of the state that it is to take the place of; "": whatever there is
    replace: bool = True  # False: only where there is nothing, or what the same step has put there


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


def bring(place: Inside, into: Path, *, max_bytes: int, cancel: CancelToken) -> Brought:
    """The file at `into`: the very same one (a hard link) if that can be, else a copy; not to be written to.

    Raises DataFailure, StepCancelled.
    """
    with _failing(place), _folder(place) as folder, _opened(place, folder) as source:
        found = os.fstat(source)
        if found.st_size > max_bytes:
            raise too_large(max_bytes)
        try:
            os.link(f"/proc/self/fd/{source}", into, follow_symlinks=True)
        except OSError:  # another file system, another owner's, no /proc
            _copy(source, into, max_bytes, cancel)
        return Brought(size=found.st_size, tag=_tag(found), marks=_marks(source))


def put(place: Inside, new: New, *, cancel: CancelToken) -> None:
    """Make a file the one at this place, at once and durably.

    Whoever reads finds the old file or the new one, whole. Raises DataFailure, `target_exists` and `target_changed`
    too, and StepCancelled.
    """
    name = place.parts[-1]
    prefix = f".{name[:100]}.{new.mark}."
    with _failing(place), _folder(place, create=True) as folder:
        _remove_drafts(folder, prefix)
        draft = f"{prefix}{secrets.token_hex(8)}.part"
        try:
            _draft(folder, draft, new, cancel)
            failpoint("data.before_rename")
            fcntl.flock(folder, fcntl.LOCK_EX)  # steps alone heed it: none comes between the look and the change
            if _may_take(folder, name, new):
                os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
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
    source = os.open(place.parts[-1], _READ, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(source).st_mode):
            raise DataFailure("file_refused", f"{place.path.name} is not a regular file.")
        yield source
    finally:
        os.close(source)


def _draft(folder: int, draft: str, new: New, cancel: CancelToken) -> None:
    """The new file in the folder under the draft's name, on disk, with the mode that a new file has here."""
    made = os.open(draft, _DRAFT, 0o666, dir_fd=folder)
    try:
        mode = stat.S_IMODE(os.fstat(made).st_mode)
        try:
            os.chmod(new.source, mode)
            os.rename(new.source, draft, dst_dir_fd=folder)
        except OSError:  # another file system
            with open(new.source, "rb") as taken:
                _pour(taken.fileno(), made, cancel)
        else:
            os.close(made)
            made = os.open(draft, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        with contextlib.suppress(OSError):  # a file system without attributes: docs/etl.md says what that means
            os.setxattr(made, _MARKS, " ".join((*new.marks, new.mark)[-MAX_MARKS:]).encode())
        os.fsync(made)
    finally:
        os.close(made)


def _may_take(folder: int, name: str, new: New) -> bool:
    """Whether the draft is to take this name; False: the same step has done so before. Raises DataFailure."""
    try:
        found = os.open(name, _READ, dir_fd=folder)
    except FileNotFoundError:
        if new.tag:
            raise _changed(name) from None
        return True
    try:
        state = os.fstat(found)
        if not stat.S_ISREG(state.st_mode):
            raise DataFailure("file_refused", f"{name} is not a regular file.")
        if new.tag and _tag(state) != new.tag:
            raise _changed(name)
        if not new.tag and not new.replace:
            if new.mark in _marks(found):
                return False
            raise DataFailure("target_exists", f"{name} exists already.")
        return True
    finally:
        os.close(found)


def _changed(name: str) -> DataFailure:
    return DataFailure("target_changed", f"{name} has been changed by somebody else meanwhile.", retryable=True)


def _tag(found: os.stat_result) -> str:
    return f"{found.st_dev}:{found.st_ino}:{found.st_size}:{found.st_mtime_ns}"


def _marks(file: int) -> tuple[str, ...]:
    try:
        return tuple(os.getxattr(file, _MARKS).decode("ascii", "replace").split())
    except OSError:
        return ()


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


def _reason(error: BaseException) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or "it cannot be read"
