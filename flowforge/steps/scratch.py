"""Where a command may write: a folder of its own, and the folders that the operator opened."""

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from flowforge.steps.leftovers import remove_tree


@contextmanager
def scratch_directory(home: Path) -> Iterator[Path]:
    """A fresh folder under home/scratch, for this user alone; removed at the end whatever happened.

    When this process dies first, the command's supervisor removes it.
    """
    root = home / "scratch"
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = root / secrets.token_hex(16)
    path.mkdir(mode=0o700)
    try:
        yield path
    finally:
        remove_tree(os.fspath(path))


def clear_scratch(home: Path) -> None:
    """For a process that knows that it is alone: what lies under home/scratch belongs to nobody.

    A worker that dies between making a folder and starting the supervisor leaves one behind.
    """
    remove_tree(os.fspath(home / "scratch"))


def working_directory(wanted: str | None, scratch: Path, file_roots: Sequence[Path]) -> Path:
    """The folder that a step's `cwd` names: inside the scratch directory (relative) or inside a file root (absolute).

    Links are followed before the comparison. Raises ValueError, with a message for people, on anything else.
    """
    if not wanted:
        return scratch
    path = (scratch / wanted).resolve()
    if not any(path.is_relative_to(root.resolve()) for root in (scratch, *file_roots)):
        raise ValueError(f"cwd {wanted!r} is neither inside the scratch directory nor inside a file root")
    if not path.is_dir():
        raise ValueError(f"cwd {wanted!r} is not a directory")
    return path
