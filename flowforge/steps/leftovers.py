"""What commands leave behind: processes and files; and the end of them. Standard library only, for `supervisor.py`."""

import os
import signal
from collections.abc import Iterable, Iterator

from flowforge.steps import linux


def descendants(root: int) -> Iterator[int]:
    """The process ids of all descendants of `root`, by /proc; none where there is no /proc."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc") if linux.IS_LINUX else ():
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


def kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


class Crowd:
    """Whether a command has too many processes. For user 0, whom RLIMIT_NPROC does not bind (setrlimit(2))."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        _come_first()
        self._before = _threads_here()

    def is_too_large(self) -> bool:
        """Looks closely only if there are many more threads on this machine than there were."""
        return _threads_here() - self._before > self._limit and len(list(descendants(os.getpid()))) > self._limit


def _come_first() -> None:
    """A bomb takes all the time of a machine: who is to end it must get some."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except OSError:
        return  # a container may forbid it


def _threads_here() -> int:
    """All threads of this machine."""
    try:
        with open("/proc/loadavg") as file:
            return int(file.read().split()[3].partition("/")[2])  # proc_loadavg(5)
    except OSError:
        return 0


def _parent_of(pid: str) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # proc_pid_stat(5): pid (comm) state ppid …; comm may hold anything, brackets included
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError):
        return None  # it ended meanwhile
