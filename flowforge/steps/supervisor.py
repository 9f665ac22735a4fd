"""The parent of one command, run as a script: `python -I -S supervisor.py FDS LIMITS SCRATCH COMMAND ARG…`

Why a process between the worker and the command, though it costs some 15 ms:

- limits, signal masks and PR_SET_NO_NEW_PRIVS have to be set after fork and before exec. In a process with threads
  that means `preexec_fn`, which runs Python in a copy whose locks other threads may hold; here there is one thread.
- as a child subreaper (prctl(2), PR_SET_CHILD_SUBREAPER) it inherits every orphan of the command, `setsid` daemons
  included, and of this command only: "no child left" therefore means "nothing left". The worker as the reaper could
  not tell whose orphan it got, and would reap children of other libraries.
- it outlives a worker that dies by SIGKILL, sees the control socket close, and cleans up.

FDS are the inherited file descriptors, comma-separated: the control socket, then those meant for the command.
The control socket carries, inwards: the length in 4 bytes, big-endian, of the command's environment, which follows
as `K=V` entries each ended by NUL; then `T` for "terminate". Outwards: `exit N`, `signal N` or `refused ERRNO`, once
nothing is left of the command. Standard input, output and error are the command's. Only the standard library, and
little of it: it is imported for every command.
"""

import ctypes
import errno
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NoReturn

GRACE_SECONDS: Final = 1.0  # between SIGTERM and SIGKILL
_SWEEP_SECONDS: Final = 0.8  # for SIGKILL to be felt; what hangs in the kernel longer is not waited for
_CHUNK: Final = 65_536

# linux/prctl.h
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_PR_SET_NO_NEW_PRIVS: Final = 38
_LINUX: Final = sys.platform == "linux"


def main(arguments: Sequence[str]) -> None:
    """Run the command, report how it ended; see the module's docstring."""
    control, *handed_on = (int(number) for number in arguments[0].split(","))
    limits, scratch, command = arguments[1], arguments[2], arguments[3:]
    os.set_inheritable(control, False)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the worker speaks through the control socket
    environment = _read_environment(control)
    if environment is None:  # the worker died before it could say more
        remove_tree(scratch)
        return
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    try:
        leader = _start(command, environment, limits)
    except OSError as error:
        _report(control, f"refused {error.errno}")
        return
    _let_go_of(handed_on)
    ended = _Family(leader, control).outlive()
    if ended is None:
        remove_tree(scratch)
    else:
        _report(control, ended)


def descendants(root: int) -> Iterator[int]:
    """The process ids of all descendants of `root`, by /proc; none where there is no /proc."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc") if _LINUX else ():
        parent = _parent_of(name) if name.isdigit() else None
        if parent is not None:
            children.setdefault(parent, []).append(int(name))
    stack = [root]
    while stack:
        found = children.pop(stack.pop(), [])
        yield from found
        stack.extend(found)


def kill_all(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


def remove_tree(path: str) -> None:
    """Remove a folder with all that is in it; what cannot be removed stays. Links are removed, not followed."""
    try:
        os.chmod(path, 0o700)  # a command may have closed its folders to itself
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    remove_tree(entry.path)
                else:
                    os.unlink(entry.path)
        os.rmdir(path)
    except (OSError, RecursionError):
        return


class _Family:
    """The command's first process and all that descends from it."""

    def __init__(self, leader: int, control: int) -> None:
        self._leader = leader
        self._control = control
        self._woken = _wake_on_child_exit()
        self._status: int | None = None  # the leader's wait status, once it ended
        self._any_left = True
        self._orphaned = False  # the worker is gone
        self._kill_at: float | None = None

    def outlive(self) -> str | None:
        """Wait for the end, ours to bring about if asked to; then leave nothing behind. None: nobody wants to know."""
        self._reap()
        while self._any_left and (self._status is None or self._kill_at is not None):
            if self._kill_at is not None and time.monotonic() >= self._kill_at:
                break
            self._wait(None if self._kill_at is None else self._kill_at - time.monotonic())
        self._sweep()
        if self._orphaned:
            return None
        status = -signal.SIGKILL if self._status is None else os.waitstatus_to_exitcode(self._status)
        return f"exit {status}" if status >= 0 else f"signal {-status}"

    def _wait(self, seconds: float | None) -> None:
        watched = [self._woken] if self._orphaned else [self._woken, self._control]
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
            kill_all(descendants(os.getpid()) if _LINUX else [self._leader], signal.SIGTERM)

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
                self._status = status

    def _sweep(self) -> None:
        """SIGKILL until there is no child left; in rounds, as what is killed may have been forking."""
        give_up_at = time.monotonic() + _SWEEP_SECONDS
        while self._any_left and time.monotonic() < give_up_at:
            if self._status is None:
                _kill_group(self._leader)
            kill_all(descendants(os.getpid()), signal.SIGKILL)
            select.select([self._woken], [], [], 0.01)
            self._reap()


def _start(command: Sequence[str], environment: Mapping[str, str], limits: str) -> int:
    """Fork and exec; the process id, which is its group's too. Raises OSError where the command cannot be executed."""
    failure, told = os.pipe()  # not inheritable: a successful exec closes it
    supervisor = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become(command, environment, limits, told, supervisor)
    os.close(told)
    error = os.read(failure, 16)
    os.close(failure)
    if error:
        os.waitpid(pid, 0)
        raise OSError(int(error), os.strerror(int(error)))
    return pid


def _become(
    command: Sequence[str], environment: Mapping[str, str], limits: str, told: int, supervisor: int
) -> NoReturn:
    try:
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != supervisor:
            os._exit(127)  # it died before the line above
        for number in (signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        _limit(limits)
        os.execvpe(command[0], list(command), environment)  # noqa: S606  the point of it: a list of arguments, no shell
    except OSError as error:
        os.write(told, str(error.errno).encode())
    except ValueError:
        os.write(told, str(errno.EINVAL).encode())
    finally:
        os._exit(127)


def _limit(limits: str) -> None:
    """`cpu=60,core=0`: both bounds of each resource, never above what this process may have itself."""
    for item in filter(None, limits.split(",")):
        name, _, wanted = item.partition("=")
        number = getattr(resource, f"RLIMIT_{name.upper()}")
        ceiling = resource.getrlimit(number)[1]
        bound = int(wanted) if ceiling == resource.RLIM_INFINITY else min(int(wanted), ceiling)
        resource.setrlimit(number, (bound, bound))


def _read_environment(control: int) -> dict[str, str] | None:
    """None: the worker went away in the middle of it."""
    size = _read_exactly(control, 4)
    entries = None if size is None else _read_exactly(control, int.from_bytes(size, "big"))
    if entries is None:
        return None
    pairs = (entry.partition("=") for entry in os.fsdecode(entries).split("\0") if entry)
    return {name: value for name, _, value in pairs}


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


def _parent_of(pid: str) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # proc_pid_stat(5): pid (comm) state ppid …; comm may hold anything, brackets included
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError):
        return None  # it ended meanwhile


def _kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _prctl(option: int, value: int) -> None:
    """Of the calling process; a wish where it is not Linux."""
    if _LINUX:
        rest = [ctypes.c_ulong(number) for number in (value, 0, 0, 0)]  # variadic: the kernel reads full words
        ctypes.CDLL(None).prctl(option, *rest)


if __name__ == "__main__":
    main(sys.argv[1:])
    os._exit(0)  # the worker waits: spare it the interpreter's own clearing up
