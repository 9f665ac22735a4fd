"""The level `bubblewrap`: a command line of bwrap(1) around a command.

What the command sees is listed, not what it does not: the system and the worker's Python, read-only; its scratch
folder and the operator's file roots, writable; an empty /tmp in memory. All else is not there.
"""

import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

PROGRAM: Final = "bwrap"
TMP_BYTES: Final = 256 * 1024**2  # of /tmp and of /dev/shm each: they are memory
_SYSTEM: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/opt", "/nix/store")
_PACKAGE: Final = Path(__file__).resolve().parents[1]  # the runners of step types are in there
_ALONE: Final = ("--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL")


def wrapped(
    argv: Sequence[str],
    *,
    home: Path,
    scratch: Path,
    cwd: Path,
    writable: Iterable[Path],
    readable: Iterable[Path],
    network: bool,
) -> list[str]:
    """`argv` within bwrap; `home` is empty in there but for what of it is writable."""
    size = str(TMP_BYTES)
    roots = [path for path in writable if path.exists()]
    inside = [root for root in roots if root.is_relative_to(home)]
    return [
        *(shutil.which(PROGRAM) or PROGRAM, *_ALONE),
        *(("--share-net",) if network else ()),
        *_system(),
        *("--proc", "/proc", "--dev", "/dev", "--size", size, "--tmpfs", "/dev/shm", "--remount-ro", "/dev"),  # noqa: S108  inside
        *("--size", size, "--tmpfs", "/tmp"),  # noqa: S108  inside
        *_each("--ro-bind-try", (*_python(), *readable)),
        *_each("--bind", (root for root in roots if root not in inside)),
        *("--tmpfs", os.fspath(home)),
        *_each("--bind", (*inside, scratch)),
        *("--remount-ro", os.fspath(home), "--remount-ro", "/", "--chdir", os.fspath(cwd), "--"),
        *argv,
    ]


def _system() -> Iterator[str]:
    for path in _SYSTEM:
        if os.path.islink(path):
            yield from ("--symlink", os.readlink(path), path)
        elif os.path.isdir(path):
            yield from ("--ro-bind", path, path)
    names = os.path.realpath("/etc/resolv.conf")  # a link into /run, where systemd keeps it
    if not names.startswith("/etc/") and os.path.exists(names):
        yield from ("--ro-bind", names, names)


def _python() -> Iterator[Path]:
    """The worker's own interpreter with its packages, wherever it lives."""
    found = [Path(prefix) for prefix in (sys.prefix, sys.base_prefix)]
    for path in dict.fromkeys((*found, *(path.resolve() for path in found), _PACKAGE)):
        if not path.is_relative_to("/usr") and path != Path("/"):
            yield path


def _each(option: str, paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        yield from (option, os.fspath(path), os.fspath(path))
