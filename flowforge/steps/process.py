"""Run a command as a step has to: alone in a clean environment, watched, bounded, and gone when it has to be.

`run_process` is for generic, python and whatever else starts processes. The command is a list of arguments and
never meets a shell. Its parent is `supervisor.py`, which says why it is there.
"""

import errno
import math
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flowforge.steps import linux
from flowforge.steps.base import Context, StepCancelled
from flowforge.steps.isolation import confined
from flowforge.steps.output import LogBudget, Stream
from flowforge.steps.supervised import Feed, Supervised

_DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SIGNALS: Final = range(1, 65)


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Bounds of each process of a command (setrlimit(2)); None: not bounded."""

    file_bytes: int | None = 4 * 1024**3  # the largest file that it may write
    open_files: int | None = 4096
    cpu_seconds: int | None = None  # None: what its timeout allows on all cores
    processes: int | None = 4096  # threads too; `limits` counts all of the user's, the other levels the command's alone
    memory_bytes: int | None = None
    """RLIMIT_DATA, private writable memory. Not RLIMIT_AS: Go, Java and CUDA reserve address space they never use"""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessResult:
    """How a command ended."""

    exit_code: int  # 128 + N where signal N ended it, as shells say
    signal: str | None  # SIGKILL, SIGSEGV …
    stdout: str  # the last 64 KiB
    stderr: str  # the last 64 KiB
    result: bytes | None  # what it wrote to FLOWFORGE_RESULT_FD; None: more than was allowed
    whole_stdout: bytes | None = None  # all of it, where that was asked for; None: more than was allowed

    @property
    def reason(self) -> str:
        """`exit code 3`, or `signal SIGKILL`."""
        return f"signal {self.signal}" if self.signal else f"exit code {self.exit_code}"


class CommandNotFound(Exception):
    """There is no such program, or it may not be executed; the message is for people."""


class NotIsolated(Exception):
    """The level of isolation that the command has to have could not be set up, though it could when it was tried."""


class SupervisorLost(Exception):
    """The command's parent process was killed; how the command itself ended is not known."""


def run_process(
    argv: Sequence[str],
    *,
    context: Context,
    scratch: Path,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    limits: Limits = Limits(),
    max_result_bytes: int = 0,
    max_stdout_bytes: int = 0,
) -> ProcessResult:
    """Run `argv` to its end; its output goes to the context's log line by line as it comes.

    `max_result_bytes` and `max_stdout_bytes`: so much is kept as `result` and `whole_stdout`, beside the tails.

    Nothing that it started is left when this returns or raises, be it in a session of its own. Without `stdin` it
    reads /dev/null. Raises StepCancelled when the context's token says so, CommandNotFound, NotIsolated,
    SupervisorLost, and OSError where no process can be started at all.
    """
    if context.cancel.is_set:
        raise StepCancelled(context.cancel.reason)
    budget = LogBudget(context.log)
    stdout, stderr = Stream("info", budget, context.mask), Stream("warning", budget, context.mask)
    result, whole = _Bounded(max_result_bytes), _Bounded(max_stdout_bytes)
    env = {**_clean_environment(scratch), **(environment or {}), **_identity(context)}
    settings, cwd = context.settings, cwd or scratch
    _check_program(argv[0], cwd, env["PATH"])
    inside = confined(
        argv, settings.isolation, home=settings.home, scratch=scratch, cwd=cwd, file_roots=settings.file_roots
    )
    with Supervised(
        inside.argv,
        bounds=_bounds(limits, context.timeout_seconds),
        cwd=cwd,
        scratch=scratch,
        stdin=stdin,
        has_result=max_result_bytes > 0,
        level=inside.level,
        room=inside.room,
    ) as command:
        command.begin(env)
        context.cancel.on_cancel(command.terminate)
        report = command.pump(stdout=_both(stdout.feed, whole.feed), stderr=stderr.feed, result=result.feed)
    tails = (stdout.finish(), stderr.finish())
    if context.cancel.is_set:
        raise StepCancelled(context.cancel.reason)
    exit_code, signal_name = _ending(report, argv[0], inside.level)
    return ProcessResult(
        exit_code=exit_code,
        signal=signal_name,
        stdout=tails[0],
        stderr=tails[1],
        result=result.content,
        whole_stdout=whole.content,
    )


def protect_this_process() -> None:
    """Keep commands, which run as the same user, from reading this process's memory and environment in /proc.

    For a worker to call at its start (prctl(2), PR_SET_DUMPABLE); no core is dumped from then on.
    """
    linux.prctl(linux.PR_SET_DUMPABLE, 0)


class _Bounded:
    """Bytes up to a limit; over it None, and nothing is kept."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.content: bytes | None = b""

    def feed(self, chunk: bytes) -> None:
        if self.content is not None:
            self.content += chunk
            if len(self.content) > self._limit:
                self.content = None


def _both(first: Feed, second: Feed) -> Feed:
    def feed(chunk: bytes) -> None:
        first(chunk)
        second(chunk)

    return feed


def _clean_environment(scratch: Path) -> dict[str, str]:
    """All that a command gets of the server's own environment is where programs are found."""
    home = os.fspath(scratch)
    return {"PATH": os.environ.get("PATH", _DEFAULT_PATH), "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8"}


def _identity(context: Context) -> dict[str, str]:
    """Which step this is and where the operator's files are; a step's own `environment` cannot say otherwise."""
    found = {
        "FLOWFORGE_RUN_ID": context.run_id,
        "FLOWFORGE_STEP": context.node_id,
        "FLOWFORGE_IDEMPOTENCY_KEY": context.idempotency_key,
        "FLOWFORGE_FILES": os.pathsep.join(map(os.fspath, context.settings.file_roots)),
    }
    return found | ({"TRACEPARENT": context.traceparent} if context.traceparent else {})


def _bounds(limits: Limits, timeout_seconds: float | None) -> str:
    cpu = limits.cpu_seconds
    if cpu is None and timeout_seconds is not None:
        cpu = math.ceil(timeout_seconds * (os.cpu_count() or 1)) + 1
    wanted = {
        "core": 0,
        "cpu": cpu,
        "fsize": limits.file_bytes,
        "nofile": limits.open_files,
        "data": limits.memory_bytes,
        "nproc": limits.processes,
    }
    return ",".join(f"{name}={bound}" for name, bound in wanted.items() if bound is not None)


def _check_program(program: str, cwd: Path, path: str) -> None:
    """Raises CommandNotFound: what stands between could not tell a program that is missing from one that fails."""
    if "/" not in program:
        if shutil.which(program, path=path) is None:
            raise CommandNotFound(f"{program}: command not found")
        return
    place = cwd / program
    if not place.exists():
        raise CommandNotFound(f"{program}: command not found")
    if place.is_dir() or not os.access(place, os.X_OK):
        raise CommandNotFound(f"{program}: {os.strerror(errno.EACCES)}")


def _ending(report: str, program: str, level: str) -> tuple[int, str | None]:
    """(exit code, signal's name) of a supervisor's report."""
    kind, _, number = report.partition(" ")
    if kind == "exit" and level == "bubblewrap" and int(number) - 128 in _SIGNALS:
        return int(number), _signal_name(int(number) - 128)  # bwrap(1) tells of a signal as shells do
    if kind == "exit":
        return int(number), None
    if kind == "unisolated":
        raise NotIsolated(f"the level {level} could not be set up: {os.strerror(int(number))}")
    if kind == "signal":
        return 128 + int(number), _signal_name(int(number))
    if kind == "refused" and int(number) == errno.ENOENT:
        raise CommandNotFound(f"{program}: command not found")
    if kind == "refused":
        raise CommandNotFound(f"{program}: {os.strerror(int(number))}")
    raise SupervisorLost(f"the process that watched {program} was killed")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"  # a real-time signal
