"""Copies the files that patterns name out of a folder: `python -I -S collector.py`, within the isolation of the step.

Standard input carries `{"folder", "target", "patterns", "max_files", "max_bytes", "max_path_bytes"}`; the answer goes
as JSON to FLOWFORGE_RESULT_FD: `{"files": [{"path", "size", "sha256"}], "left_out": [[path, reason]], "unmatched":
[pattern]}`, or `{"code", "message"}`. Standard library only.

The folder is hostile: links are not followed, what is no plain file is not opened for long, folders may have no end.
"""

import fnmatch
import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final

_CHUNK: Final = 1024 * 1024
_MAX_LEFT_OUT: Final = 100  # that are named

Parts = tuple[str, ...]


class TooLarge(Exception):
    """More than may be kept; the message says of what."""


def matches(pattern: Parts, path: Parts) -> bool:
    """Whether a pattern names a path or a folder above it. `*`, `?` and `[…]` within a name, `**` over any folders."""
    reached = {0}  # how much of the pattern the names so far can have used up
    for name in path:
        reached = _passed(pattern, reached)
        if len(pattern) in reached:
            return True
        reached = {
            place if pattern[place] == "**" else place + 1
            for place in reached
            if pattern[place] == "**" or fnmatch.fnmatchcase(name, pattern[place])
        }
    return len(pattern) in _passed(pattern, reached)


def _passed(pattern: Parts, reached: set[int]) -> set[int]:
    """With every `**` that may stand for no folder at all."""
    found = set(reached)
    for place, part in enumerate(pattern):
        if part == "**" and place in found:
            found.add(place + 1)
    return found


def parts_of(pattern: str) -> Parts:
    """`./dist//*.whl` is `("dist", "*.whl")`."""
    return tuple(part for part in pattern.split("/") if part not in ("", "."))


class Collection:
    """What has been kept so far."""

    def __init__(self, request: dict[str, Any]) -> None:
        self._request = request
        self._patterns = {pattern: parts_of(pattern) for pattern in request["patterns"]}
        self._unmatched = set(self._patterns)
        self._left = request["max_bytes"]
        self._left_out: list[tuple[str, str]] = []
        self._files: list[dict[str, Any]] = []

    def gather(self) -> dict[str, Any]:
        """The answer. Raises TooLarge, OSError."""
        for path, entry in self._walk():
            if self._is_wanted(path):
                self._take(path, entry)
        unmatched = [pattern for pattern in self._patterns if pattern in self._unmatched]
        return {"files": self._files, "left_out": self._left_out, "unmatched": unmatched}

    def _walk(self) -> Iterator[tuple[Parts, "os.DirEntry[str]"]]:
        """All that is no folder, in the order of names. A folder that cannot be read is as if it were empty."""
        stack: list[Parts] = [()]
        while stack:
            folder = stack.pop()
            for entry in _entries(os.path.join(self._request["folder"], *folder)):
                path = (*folder, entry.name)
                if path == (".git",):
                    continue
                if not entry.is_dir(follow_symlinks=False):
                    yield path, entry
                elif len(os.fsencode("/".join(path))) < self._request["max_path_bytes"]:
                    stack.append(path)

    def _is_wanted(self, path: Parts) -> bool:
        found = [pattern for pattern, parts in self._patterns.items() if matches(parts, path)]
        self._unmatched.difference_update(found)
        return bool(found)

    def _take(self, path: Parts, entry: "os.DirEntry[str]") -> None:
        name = "/".join(path)
        reason = self._refusal(name, entry)
        if reason is not None:
            if len(self._left_out) < _MAX_LEFT_OUT:
                self._left_out.append((name.encode(errors="replace").decode(), reason))
            return
        if len(self._files) == self._request["max_files"]:
            raise TooLarge(f"more than {self._request['max_files']} files")
        size, digest = self._copy(entry.path, os.path.join(self._request["target"], *path))
        self._files.append({"path": name, "size": size, "sha256": digest})

    def _refusal(self, name: str, entry: "os.DirEntry[str]") -> str | None:
        if entry.is_symlink():
            return "a symbolic link"
        if not entry.is_file(follow_symlinks=False):
            return "no plain file"
        if len(os.fsencode(name)) > self._request["max_path_bytes"]:
            return "its path is too long"
        return None if name.isprintable() else "its name holds characters that cannot be shown"

    def _copy(self, source: str, target: str) -> tuple[int, str]:
        """(size, SHA-256). What the entry was a moment ago counts for nothing: what was opened is looked at."""
        size, digest = 0, hashlib.sha256()
        os.makedirs(os.path.dirname(target), exist_ok=True)
        opened = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(opened, "rb") as reading, open(target, "xb") as writing:
            if not stat.S_ISREG(os.fstat(reading.fileno()).st_mode):
                raise OSError(f"{source} is no plain file")
            while chunk := reading.read(_CHUNK):
                size += len(chunk)
                self._left -= len(chunk)
                if self._left < 0:
                    raise TooLarge(f"more than {self._request['max_bytes']} bytes")
                digest.update(chunk)
                writing.write(chunk)
        return size, digest.hexdigest()


def _entries(folder: str) -> Sequence["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError:
        return ()


def answer_to(request: dict[str, Any]) -> dict[str, Any]:
    """See the module's docstring."""
    try:
        return Collection(request).gather()
    except TooLarge as error:
        return {"code": "artifacts_too_large", "message": f"the patterns name {error}"}
    except OSError as error:
        return {"code": "artifacts_failed", "message": f"an artifact cannot be kept: {error.strerror or error}"}


def main() -> None:
    result_fd = int(os.environ.pop("FLOWFORGE_RESULT_FD"))
    os.set_inheritable(result_fd, False)
    answer = json.dumps(answer_to(json.load(sys.stdin)))
    with os.fdopen(result_fd, "w") as result:
        result.write(answer)


if __name__ == "__main__":
    main()
