"""How what steps start is kept apart from this machine: three levels, and which of them are to be had.

`limits` is always there; `namespaces` and `bubblewrap` are tried, as no setting or version says whether a kernel, a
container or a security module lets them work (docs/isolation.md).
"""

import contextlib
import os
import secrets
import shutil
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from flowforge.steps import bubblewrap
from flowforge.steps.levels import AUTOMATIC, LEVELS, Isolation, Level
from flowforge.steps.scratch import scratch_directory
from flowforge.steps.supervised import Supervised

_PROBE_SECONDS: Final = 10.0
_MAX_COMPLAINT: Final = 300

# in new namespaces: process ids begin anew, the worker is not to be seen, the canary neither, and we may write here
_PROBE: Final = 'test "$$" -lt 64 && ! kill -0 "$1" && ! test -e "$2" && echo works > probe && read line < probe'


@dataclass(frozen=True, kw_only=True, slots=True)
class Confined:
    """A command as its supervisor is to start it."""

    argv: Sequence[str]
    level: Level
    room: Sequence[str] = ()  # namespaces.py


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a machine offers."""

    level: Level  # the strongest
    refused: Mapping[str, str] = field(default_factory=dict)  # each that was tried in vain, and why


def confined(
    argv: Sequence[str], isolation: Isolation, *, home: Path, scratch: Path, cwd: Path, file_roots: Sequence[Path]
) -> Confined:
    """A command at the level of `isolation`, with `scratch` and the file roots as what it may write to."""
    home = home.resolve()
    inside = [root for root in file_roots if root.is_relative_to(home)]
    for root in inside:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)  # a step could, but for the cover over it
    if isolation.level == "bubblewrap":
        wrapped = bubblewrap.wrapped(
            argv,
            home=home,
            scratch=scratch,
            cwd=cwd,
            writable=file_roots,
            readable=isolation.readable,
            network=isolation.network,
        )
        return Confined(argv=wrapped, level="bubblewrap")
    if isolation.level == "namespaces":
        hidden = [home, *(path for path in isolation.hidden if not path.is_relative_to(home))]
        room = [f"cwd={cwd}", *(f"hide={path}" for path in hidden), *(f"keep={path}" for path in (*inside, scratch))]
        return Confined(argv=argv, level="namespaces", room=room if isolation.network else [*room, "network=none"])
    return Confined(argv=argv, level="limits")


def detect(home: Path, wanted: str = AUTOMATIC) -> Found:
    """The strongest level that works here, or `wanted` if that does. Each is tried by running something in it.

    Raises ValueError, with a message for people, if `wanted` is no level or does not work.
    """
    if wanted not in (AUTOMATIC, *LEVELS):
        raise ValueError(f"{wanted!r} is no isolation level: {', '.join((AUTOMATIC, *LEVELS))}")
    refused: dict[str, str] = {}
    for level in reversed(LEVELS) if wanted == AUTOMATIC else (wanted,):
        complaint = complaint_of(level, home)  # type: ignore[arg-type]  # it is one of LEVELS
        if complaint is None:
            return Found(level=level, refused=refused)  # type: ignore[arg-type]  # the same
        refused[level] = complaint
    raise ValueError(f"the isolation level {wanted} does not work here: {refused[wanted]}")


def complaint_of(level: Level, home: Path) -> str | None:
    """Why a level does not work here; None if it does."""
    if level == "limits":
        return None
    if sys.platform != "linux":
        return "it needs Linux"
    if level == "bubblewrap" and shutil.which(bubblewrap.PROGRAM) is None:
        return f"the program {bubblewrap.PROGRAM} is not installed"
    try:
        return _tried(level, home)
    except OSError as error:
        return str(error)


def _tried(level: Level, home: Path) -> str | None:
    output: list[bytes] = []
    with scratch_directory(home) as scratch, _canary(home) as canary:
        argv = ["/bin/sh", "-c", _PROBE, "sh", str(os.getpid()), os.fspath(canary)]
        isolation = Isolation(level=level)
        inside = confined(argv, isolation, home=home, scratch=scratch, cwd=scratch, file_roots=())
        with Supervised(
            inside.argv, bounds="core=0", cwd=scratch, scratch=scratch, level=inside.level, room=inside.room
        ) as command:
            command.begin({"PATH": os.defpath})
            with _ended_after(_PROBE_SECONDS, command):
                report = command.pump(stdout=output.append, stderr=output.append, result=output.append)
        if report == "exit 0" and (scratch / "probe").exists():
            return None
    kind, _, number = report.partition(" ")
    said = b"".join(output).decode(errors="replace").strip()[:_MAX_COMPLAINT]
    return os.strerror(int(number)) if kind == "unisolated" else said or f"the probe ended with {report or 'nothing'}"


@contextlib.contextmanager
def _canary(home: Path) -> Iterator[Path]:
    """A file that no step may see, as it lies in FLOWFORGE_HOME."""
    path = home / f"canary-{secrets.token_hex(8)}"
    path.touch(mode=0o600)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _ended_after(seconds: float, command: Supervised) -> Iterator[None]:
    timer = threading.Timer(seconds, command.terminate)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
