"""The calls of Linux that Python 3.11 has no function for: prctl(2), unshare(2), mount(2). Standard library only.

It is imported for every command (`supervisor.py`): little, and quick.
"""

import ctypes
import os
import sys
from typing import Final

IS_LINUX: Final = sys.platform == "linux"

# linux/prctl.h, linux/securebits.h
PR_SET_PDEATHSIG: Final = 1
PR_SET_DUMPABLE: Final = 4
PR_SET_SECUREBITS: Final = 28
PR_SET_CHILD_SUBREAPER: Final = 36
PR_SET_NO_NEW_PRIVS: Final = 38
NO_ROOT: Final = 0b11  # SECBIT_NOROOT and its lock: user 0 gains no capability by exec

# linux/sched.h
CLONE_NEWNS: Final = 0x00020000
CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000

# linux/mount.h
MS_RDONLY: Final = 1
MS_NOSUID: Final = 2
MS_NODEV: Final = 4
MS_NOEXEC: Final = 8
MS_REMOUNT: Final = 32
MS_BIND: Final = 4096
MS_REC: Final = 16384
MS_PRIVATE: Final = 1 << 18


def prctl(option: int, value: int) -> bool:
    """Of the calling process; False where it is refused, or not Linux."""
    if not IS_LINUX:
        return False
    rest = [ctypes.c_ulong(number) for number in (value, 0, 0, 0)]  # variadic: the kernel reads full words
    return bool(ctypes.CDLL(None).prctl(option, *rest) == 0)


def unshare(flags: int) -> None:
    """Raises OSError."""
    _checked(ctypes.CDLL(None, use_errno=True).unshare(flags))


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Raises OSError."""
    words = [os.fsencode(word) for word in (source, target, kind)]
    library = ctypes.CDLL(None, use_errno=True)
    _checked(library.mount(*words, ctypes.c_ulong(flags), os.fsencode(data)))


def _checked(answer: int) -> None:
    if answer != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
