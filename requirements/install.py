"""Make .venv hold what a lock names: `python requirements/install.py base|dev`. Needs nothing but the standard library.

Interrupted, it is simply done again: the copy of the lock that says "installed" is written last, in one rename.
Several at once wait for each other.
"""

import fcntl
import os
import subprocess
import sys
import time
import venv
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
VENV = FOLDER.parent / ".venv"
PYTHON = VENV / "bin" / "python"
HOLDS = {"base": ("base",), "dev": ("base", "dev")}  # dev.txt is base.txt and more, at the same versions


def main(name: str) -> None:
    """Install the lock `name` unless it is there; raises CalledProcessError when pip (or making the venv) fails."""
    guard = os.open(FOLDER, os.O_RDONLY)
    try:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not is_installed(name):
            install(name)
    finally:
        os.close(guard)


def is_installed(name: str) -> bool:
    mark = VENV / f"{name}.lock"
    return PYTHON.exists() and mark.exists() and mark.read_bytes() == lock_of(name).read_bytes()


def install(name: str) -> None:
    began = time.monotonic()
    print(f"Installing requirements/{name}.txt into {VENV.name} (once; about half a minute) …", flush=True)
    for held in HOLDS["dev"]:
        (VENV / f"{held}.lock").unlink(missing_ok=True)
    if not has_pip():
        # clear: what is there belongs to a Python that is gone
        venv.create(VENV, with_pip=True, symlinks=True, clear=not PYTHON.exists())
    run_pip("install", "--require-hashes", "--no-deps", "--no-compile", "-r", str(lock_of(name)))
    for held in HOLDS[name]:
        write_mark(held)
    print(f"Installed in {time.monotonic() - began:.0f} s.", flush=True)


def has_pip() -> bool:
    """False too for an environment whose making was interrupted."""
    try:
        return subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def run_pip(*arguments: str) -> None:
    quiet = ("--quiet", "--quiet", "--no-input", "--disable-pip-version-check", "--progress-bar=off")
    command, *rest = arguments
    subprocess.run([PYTHON, "-m", "pip", command, *quiet, *rest], check=True)


def write_mark(name: str) -> None:
    draft = VENV / f".{name}.lock.{os.getpid()}"
    draft.write_bytes(lock_of(name).read_bytes())
    draft.replace(VENV / f"{name}.lock")


def lock_of(name: str) -> Path:
    return FOLDER / f"{name}.txt"


def explain(error: subprocess.CalledProcessError) -> str:
    if "ensurepip" in error.cmd:
        return (
            "This Python cannot make virtual environments: it has no ensurepip (on Debian: apt install python3-venv)."
        )
    return f"The installation failed (pip ended with {error.returncode}); the same command tries again."


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except subprocess.CalledProcessError as error:
        sys.exit(explain(error))
    except KeyboardInterrupt:
        sys.exit(130)
