"""The level `namespaces`, within a supervisor: user, process, mount and IPC namespaces of the command's own.

    supervisor             unshares the user and process namespaces: its children live in there
      init                 process 1: mounts a fresh /proc, covers what is hidden, reaps; its end is the end of all
        command            without a capability, even in there

A room is a list of words: `hide=PATH` (a folder is covered by an empty one, a file by nothing), `keep=PATH` (a folder
that stays although one above it is covered), `cwd=PATH`, `network=none`.
"""

import fcntl
import os
import signal
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NoReturn

from flowforge.steps import linux

_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 1
_FD_LIMIT: Final = 1024  # of a supervisor: it has opened a dozen


def enter() -> None:
    """Let the children of this process live in namespaces of their own, as the user who they are. Raises OSError."""
    uid, gid = os.geteuid(), os.getegid()
    linux.unshare(linux.CLONE_NEWUSER | linux.CLONE_NEWPID | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def furnish(room: Sequence[str]) -> None:
    """Make the file system of this process, the first of its namespace, what the room says. Raises OSError."""
    alone = "network=none" in room
    linux.unshare(linux.CLONE_NEWNS | (linux.CLONE_NEWNET if alone else 0))
    linux.mount("none", "/", flags=linux.MS_REC | linux.MS_PRIVATE)
    kept = {path: os.open(path, os.O_PATH | os.O_DIRECTORY) for path in _words(room, "keep")}
    linux.mount("proc", "/proc", "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)
    hidden = list(_words(room, "hide"))
    for path in hidden:
        _cover(path)
    for path, fd in kept.items():
        os.makedirs(path, exist_ok=True)
        linux.mount(f"/proc/self/fd/{fd}", path, flags=linux.MS_BIND | linux.MS_REC)
        os.close(fd)
    for path in filter(os.path.isdir, hidden):
        linux.mount("none", path, flags=linux.MS_REMOUNT | linux.MS_BIND | linux.MS_RDONLY | linux.MS_NOSUID)
    if alone:
        _raise_loopback()


def be_init(room: Sequence[str], start: Callable[[], int], told: int, status: int) -> NoReturn:
    """Furnish the room, start the command in it, reap until it has ended, and write its wait status to `status`.

    What fails before is written to `told`. The kernel ends with this process whatever else lives in its namespace.
    """
    try:
        furnish(room)
        command = start()
    except OSError as error:
        os.write(told, f"unisolated {error.errno}".encode())
        os._exit(1)
    os.chdir("/")
    os.closerange(0, status)
    os.closerange(status + 1, _FD_LIMIT)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        pid, code = os.waitpid(-1, 0)
        if pid == command:
            os.write(status, code.to_bytes(4, "big"))
            os._exit(0)


def working_directory(room: Sequence[str]) -> str:
    """Where the command begins; to be entered anew, lest it stands in the folder that was covered."""
    return next(_words(room, "cwd"))


def _cover(path: str) -> None:
    if os.path.isdir(path):
        linux.mount("none", path, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "size=1m,mode=0755")
    elif os.path.exists(path):
        linux.mount("/dev/null", path, flags=linux.MS_BIND)


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(probe, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(probe, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def _words(room: Sequence[str], name: str) -> Iterator[str]:
    return (word.removeprefix(f"{name}=") for word in room if word.startswith(f"{name}="))
