"""This process's side of a command under its supervisor (`supervisor.py`): start it, pump its pipes, end it."""

import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO, Final, Self, cast

from flowforge.steps import leftovers, supervisor

RESULT_FD: Final = "FLOWFORGE_RESULT_FD"  # environment variable: the file descriptor for a command's result

_CHUNK: Final = 65_536
_FOLDER: Final = os.fspath(Path(__file__).resolve().parents[2])  # in which `flowforge` is
_LOOK_SECONDS: Final = 0.5  # between looks whether a supervisor that was told to end its command did
_LAST_RESORT_SECONDS: Final = 1.7  # it needs its grace; cancelling is promised to be over after 2 s

Feed = Callable[[bytes], None]


class Supervised:
    """A running supervisor. A context manager: at its end nothing of the command lives, however it is left."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        bounds: str,
        cwd: Path,
        scratch: Path,
        stdin: bytes = b"",
        has_result: bool = False,
        level: str = "limits",
        room: Sequence[str] = (),
    ) -> None:
        """Start the supervisor; it starts `argv` once `begin` sends it the environment. Raises OSError.

        `level` and `room` are isolation.Confined's.

        With `has_result` the command finds in FLOWFORGE_RESULT_FD where to write what `pump` feeds to `result`.
        """
        self._stdin = stdin
        self._room = room
        self._lock = threading.Lock()  # over the two below: cancelling is another thread's
        self._told_at: float | None = None
        with ExitStack() as undo:
            self._control, theirs = (undo.enter_context(end) for end in socket.socketpair())
            self._result, for_result = (undo.enter_context(end) for end in socket.socketpair())
            fds = [theirs.fileno(), for_result.fileno()] if has_result else [theirs.fileno()]
            told = [",".join(map(str, fds)), bounds, os.fspath(scratch), level, *argv]
            self._process = _popen(told, fds, cwd=cwd, has_stdin=bool(stdin))
            theirs.close()
            for_result.close()
            self._environment = {RESULT_FD: str(fds[1])} if has_result else {}
            undo.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._control.close()  # whatever still lives is ended by the supervisor now
        self._result.close()
        try:
            self._process.wait(_LAST_RESORT_SECONDS)
        except subprocess.TimeoutExpired:
            self._force()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def begin(self, environment: Mapping[str, str]) -> None:
        """Let the command start; `terminate` may be called from here on."""
        told = {**environment, **self._environment}
        try:
            self._control.sendall(_entries(f"{name}={value}" for name, value in told.items()) + _entries(self._room))
        except OSError:
            return  # the supervisor is gone: `pump` reads that

    def terminate(self) -> None:
        """SIGTERM to all of it, and SIGKILL after the grace; from any thread, also when it has ended already."""
        with self._lock:
            if self._told_at is None and self._control.fileno() >= 0:
                self._told_at = time.monotonic()
                try:
                    self._control.send(b"T")
                except OSError:
                    return  # the supervisor is gone: `pump` reads that

    def pump(self, *, stdout: Feed, stderr: Feed, result: Feed) -> str:
        """Feed the command and read it to its end. Gives the supervisor's report; "" where that was killed."""
        feeds = {
            cast(IO[bytes], self._process.stdout).fileno(): stdout,
            cast(IO[bytes], self._process.stderr).fileno(): stderr,
            self._result.fileno(): result,
        }
        with selectors.DefaultSelector() as selector:
            self._register(selector, feeds)
            report = self._until_report(selector)
        for fd, feed in feeds.items():
            while _read(fd, feed):
                pass
        return report

    def _register(self, selector: selectors.BaseSelector, feeds: Mapping[int, Feed]) -> None:
        selector.register(self._control, selectors.EVENT_READ)
        for fd, feed in feeds.items():
            os.set_blocking(fd, False)
            selector.register(fd, selectors.EVENT_READ, partial(_read_or_leave, selector, fd, feed))
        if self._process.stdin is not None:
            os.set_blocking(self._process.stdin.fileno(), False)
            write = _Writer(selector, self._process.stdin, self._stdin)
            selector.register(self._process.stdin, selectors.EVENT_WRITE, write)

    def _until_report(self, selector: selectors.BaseSelector) -> str:
        while True:
            for key, _ in selector.select(_LOOK_SECONDS):
                if key.fileobj is self._control:
                    return self._report()
                key.data()
            if self._told_at is not None and time.monotonic() - self._told_at > _LAST_RESORT_SECONDS:
                self._force()

    def _report(self) -> str:
        try:
            return self._control.recv(64).decode()
        except OSError:
            return ""

    def _force(self) -> None:
        """The last resort, where the supervisor itself does not answer (a command may have stopped it)."""
        family = [*leftovers.descendants(self._process.pid), self._process.pid]
        leftovers.kill_all(family, signal.SIGKILL)


class _Writer:
    """Writes a command's standard input as far as it takes it, and closes it at the end."""

    def __init__(self, selector: selectors.BaseSelector, pipe: IO[bytes], content: bytes) -> None:
        self._selector = selector
        self._pipe = pipe
        self._rest = memoryview(content)

    def __call__(self) -> None:
        try:
            self._rest = self._rest[os.write(self._pipe.fileno(), self._rest[:_CHUNK]) :]
        except BrokenPipeError:
            self._rest = self._rest[:0]  # it does not want to read: not an error of ours
        if not self._rest:
            self._selector.unregister(self._pipe)
            self._pipe.close()


def command_line(arguments: Sequence[str]) -> list[str]:
    """How a supervisor is started; `arguments` are those of its `main`."""
    return [sys.executable, "-I", "-S", "-c", supervisor.BOOT, _FOLDER, *arguments]


def _entries(lines: Iterable[str]) -> bytes:
    found = b"".join(os.fsencode(line) + b"\0" for line in lines)
    return len(found).to_bytes(4, "big") + found


def _popen(arguments: Sequence[str], fds: Sequence[int], *, cwd: Path, has_stdin: bool) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603  our own script; the command behind it is a list too
        command_line(arguments),
        stdin=subprocess.PIPE if has_stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        env={},
        cwd=cwd,
        umask=0o077,
        pass_fds=fds,
        start_new_session=True,
    )


def _read_or_leave(selector: selectors.BaseSelector, fd: int, feed: Feed) -> None:
    if not _read(fd, feed):
        selector.unregister(fd)


def _read(fd: int, feed: Feed) -> bool:
    """False: there is nothing more to read."""
    try:
        chunk = os.read(fd, _CHUNK)
    except (BlockingIOError, ConnectionResetError):
        return False
    if chunk:
        feed(chunk)
    return bool(chunk)
