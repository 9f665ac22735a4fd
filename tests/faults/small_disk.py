"""`up` on a disk that is soon full: a tmpfs over FLOWFORGE_HOME, which this process and its children alone see.

`python -m tests.faults.small_disk up`; needs no rights where user namespaces are allowed.
"""

import ctypes
import os
from pathlib import Path

from tests.faults import launch
from tests.faults.world import World

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
SIZE = "32m"


def main() -> None:
    uid, gid = os.getuid(), os.getgid()
    _call("unshare", CLONE_NEWUSER | CLONE_NEWNS)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    _call("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
    _call("mount", b"tmpfs", os.environ["FLOWFORGE_HOME"].encode(), b"tmpfs", 0, f"size={SIZE}".encode())
    launch.main()


def _call(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def seen(world: World) -> Path:
    """The home as the harness sees it: through the process."""
    return Path(f"/proc/{world.processes['up'].pid}/root{world.site.environment['FLOWFORGE_HOME']}")


if __name__ == "__main__":
    main()
