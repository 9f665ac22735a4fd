"""The parent of one command: `python -I -S -c BOOT FOLDER FDS LIMITS SCRATCH LEVEL COMMAND ARG…`

Why a process between the worker and the command, though it costs some 15 ms:

- limits, signal masks and PR_SET_NO_NEW_PRIVS have to be set after fork and before exec. In a process with threads
  that means `preexec_fn`, which runs Python in a copy whose locks other threads may hold; here there is one thread.
- as a child subreaper (prctl(2), PR_SET_CHILD_SUBREAPER) it inherits every orphan of the command, `setsid` daemons
  included, and of this command only: "no child left" therefore means "nothing left". The worker as the reaper could
  not tell whose orphan it got, and would reap children of other libraries.
- it outlives a worker that dies by SIGKILL, sees the control socket close, and cleans up.

FDS are the inherited file descriptors, comma-separated: the control socket, then those meant for the command. LEVEL
says how the command is isolated: `limits` (by what is above alone), `namespaces` (namespaces.py), or `bubblewrap`, for
a command that has been wrapped already.
The control socket carries, inwards: twice a length in 4 bytes, big-endian, and entries that each end by NUL, first the
command's environment (`K=V`), then its room (namespaces.py); then `T` for "terminate". Outwards: `exit N`, `signal N`,
`refused ERRNO` or `unisolated ERRNO`, once nothing is left of the command. Standard input, output and error are the
command's. Only the standard library, and little of it: it is imported for every command.
"""

import errno
import os
import resource
import select
import signal
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, NoReturn

from flowforge.steps import linux, namespaces
from flowforge.steps.leftovers import Crowd, descendants, kill_all, kill_group, remove_tree

GRACE_SECONDS: Final = 1.0  # between SIGTERM and SIGKILL
_SWEEP_SECONDS: Final = 0.8  # for SIGKILL to be felt; what hangs in the kernel longer is not waited for
_CHUNK: Final = 65_536
_CROWD_SWEEP_SECONDS: Final = 10.0  # so many take longer
_COUNT_SECONDS: Final = 0.1  # between looks whether there are too many processes, where no limit of the kernel says so
_STATUS_BYTES: Final = 4
# What is ignored survives exec: by Python itself, or by whoever started the server (nohup, a shell's background).
_FIXED: Final = {signal.SIGKILL, signal.SIGSTOP}  # nobody can set these
_RESET: Final = [number for number in range(1, signal.SIGRTMIN) if number in signal.valid_signals() - _FIXED]

BOOT: Final = (  # `-I` and `-S` know neither this folder nor any package
    "import os, sys; sys.path.append(sys.argv.pop(1)); from flowforge.steps.supervisor import main; "
    "main(sys.argv[1:]); os._exit(0)"  # the worker waits: spare it the interpreter's own clearing up
)


class Task(NamedTuple):
    """What is to be started, and how."""

    command: Sequence[str]
    environment: Mapping[str, str]
    limits: Mapping[str, int]
    level: str
    room: Sequence[str]


def main(arguments: Sequence[str]) -> None:
    """Run the command, report how it ended; see the module's docstring."""
    control, *handed_on = (int(number) for number in arguments[0].split(","))
    limits, scratch, level, command = arguments[1], arguments[2], arguments[3], arguments[4:]
    os.set_inheritable(control, False)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the worker speaks through the control socket
    environment, room = _read_entries(control), _read_entries(control)
    if environment is None or room is None:  # the worker died before it could say more
        remove_tree(scratch)
        return
    linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    variables = dict(entry.partition("=")[::2] for entry in environment)
    task = Task(command=command, environment=variables, limits=_parsed(limits), level=level, room=room)
    try:
        leader, status = _start(task)
    except _Refused as refusal:
        _report(control, str(refusal))
        return
    _let_go_of(handed_on)
    ended = _Family(leader, control, task, status).outlive()
    if ended is None:
        remove_tree(scratch)
    else:
        _report(control, ended)


class _Family:
    """The command's first process and all that descends from it."""

    def __init__(self, leader: int, control: int, task: Task, status: int | None) -> None:
        self._leader = leader
        self._control = control
        self._task = task
        self._told = status
        self._crowd = Crowd(task.limits["nproc"]) if "nproc" in task.limits and os.geteuid() == 0 else None
        self._woken = _wake_on_child_exit()
        self._status: int | None = None  # the leader's wait status, once it ended
        self._any_left = True
        self._orphaned = False  # the worker is gone
        self._kill_at: float | None = None
        self._sweep_seconds = _SWEEP_SECONDS

    def outlive(self) -> str | None:
        """Wait for the end, ours to bring about if asked to; then leave nothing behind. None: nobody wants to know."""
        self._reap()
        while self._any_left and (self._status is None or self._kill_at is not None):
            if self._kill_at is not None and time.monotonic() >= self._kill_at:
                break
            self._wait(None if self._kill_at is None else self._kill_at - time.monotonic())
            if self._crowd is not None and self._crowd.is_too_large():
                self._sweep_seconds = _CROWD_SWEEP_SECONDS
                break
        self._sweep()
        if self._orphaned:
            return None
        status = -signal.SIGKILL if self._status is None else os.waitstatus_to_exitcode(self._status)
        return f"exit {status}" if status >= 0 else f"signal {-status}"

    def _wait(self, seconds: float | None) -> None:
        watched = [self._woken] if self._orphaned else [self._woken, self._control]
        if self._crowd is not None:
            seconds = _COUNT_SECONDS if seconds is None else min(seconds, _COUNT_SECONDS)
        ready, _, _ = select.select(watched, [], [], None if seconds is None else max(0.0, seconds))
        if self._woken in ready:
            os.read(self._woken, _CHUNK)
        self._reap()
        if self._control in ready:
            self._obey(_read(self._control, 1))

    def _obey(self, message: bytes) -> None:
        if not message:
            self._orphaned = True
            self._kill_at = time.monotonic()
        elif self._kill_at is None:
            self._kill_at = time.monotonic() + GRACE_SECONDS
            kill_all(self._members(), signal.SIGTERM)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self._any_left = False
                return
            if pid == 0:
                return
            if pid == self._leader:
                self._status = status if self._told is None else _told_status(self._told)

    def _members(self) -> Iterator[int]:
        """All but a leader that only stands between: it would take the others with it before they can clean up."""
        if not linux.IS_LINUX:
            return iter([self._leader])
        alone = self._task.level == "limits"
        return (pid for pid in descendants(os.getpid()) if alone or pid != self._leader)

    def _sweep(self) -> None:
        """SIGKILL until there is no child left; in rounds, as what is killed may have been forking."""
        give_up_at = time.monotonic() + self._sweep_seconds
        while self._any_left and time.monotonic() < give_up_at:
            if self._status is None:
                kill_all([self._leader], signal.SIGKILL)
                kill_group(self._leader)
            found = list(descendants(os.getpid()))
            if self._crowd is not None:  # what is stopped forks no more, so that there is an end to it
                kill_all(found, signal.SIGSTOP)
                found = list(descendants(os.getpid()))
            kill_all(found, signal.SIGKILL)
            select.select([self._woken], [], [], 0.01)
            self._reap()


class _Refused(Exception):
    """The command could not be executed: the report that says why."""


def _start(task: Task) -> tuple[int, int | None]:
    """Fork and exec: (process id, which is its group's too; where its wait status is told if it is init's child).

    Raises _Refused.
    """
    failure, told = os.pipe()  # not inheritable: a successful exec closes it
    try:
        leader, status = _start_init(task, told) if task.level == "namespaces" else (_fork(task, told), None)
    except OSError as error:
        raise _Refused(f"unisolated {error.errno}") from None
    os.close(told)
    refusal = os.read(failure, 64)
    os.close(failure)
    if refusal:
        os.waitpid(leader, 0)
        raise _Refused(refusal.decode())
    return leader, status


def _start_init(task: Task, told: int) -> tuple[int, int]:
    """Fork the first process of new namespaces, which starts the command. Raises OSError."""
    namespaces.enter()
    status, wanted = os.pipe()
    alive, living = os.pipe()
    pid = os.fork()
    if pid == 0:
        linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
        os.close(living)
        if not os.read(alive, 1):
            os._exit(127)  # the supervisor died before it could be told of
        namespaces.be_init(task.room, lambda: _fork(task, told), told, wanted)
    os.write(living, b".")
    for number in (wanted, alive, living):
        os.close(number)
    return pid, status


def _fork(task: Task, told: int) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become(task, told, parent)
    return pid


def _become(task: Task, told: int, parent: int) -> NoReturn:
    try:
        os.setsid()
        linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(127)  # it died before the line above
        for number in _RESET:
            signal.signal(number, signal.SIG_DFL)
        if task.room:
            os.chdir(namespaces.working_directory(task.room))
        _limit(task.limits)
        if task.level != "bubblewrap":  # which drops them itself, but needs them before
            linux.prctl(linux.PR_SET_SECUREBITS, linux.NO_ROOT)  # only who has capabilities may: others need not
        os.execvpe(task.command[0], list(task.command), task.environment)  # noqa: S606  the point of it: a list of arguments, no shell
    except OSError as error:
        os.write(told, f"refused {error.errno}".encode())
    except ValueError:
        os.write(told, f"refused {errno.EINVAL}".encode())
    finally:
        os._exit(127)


def _parsed(limits: str) -> dict[str, int]:
    """`cpu=60,core=0`"""
    pairs = (item.partition("=") for item in limits.split(",") if item)
    return {name: int(bound) for name, _, bound in pairs}


def _limit(limits: Mapping[str, int]) -> None:
    """Both bounds of each resource, never above what this process may have itself."""
    for name, wanted in limits.items():
        number = getattr(resource, f"RLIMIT_{name.upper()}")
        ceiling = resource.getrlimit(number)[1]
        bound = wanted if ceiling == resource.RLIM_INFINITY else min(wanted, ceiling)
        resource.setrlimit(number, (bound, bound))


def _read_entries(control: int) -> list[str] | None:
    """None: the worker went away in the middle of it."""
    size = _read_exactly(control, 4)
    entries = None if size is None else _read_exactly(control, int.from_bytes(size, "big"))
    return None if entries is None else [entry for entry in os.fsdecode(entries).split("\0") if entry]


def _read_exactly(control: int, size: int) -> bytes | None:
    received = b""
    while len(received) < size:
        chunk = _read(control, size - len(received))
        if not chunk:
            return None
        received += chunk
    return received


def _read(control: int, size: int) -> bytes:
    try:
        return os.read(control, size)
    except ConnectionResetError:
        return b""


def _report(control: int, text: str) -> None:
    try:
        os.write(control, text.encode())
    except OSError:
        return  # the worker went away meanwhile


def _let_go_of(handed_on: Iterable[int]) -> None:
    """Keep no end of the command's pipes: their readers wait for the last holder."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number, inheritable=False)
    for number in handed_on:
        os.close(number)


def _wake_on_child_exit() -> int:
    """A file descriptor that becomes readable when a child ends."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return woken


def _told_status(told: int) -> int:
    """The wait status that init has told of; SIGKILL's where it was killed before it could."""
    found = os.read(told, _STATUS_BYTES)
    return int.from_bytes(found, "big") if found else signal.SIGKILL
