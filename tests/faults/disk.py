"""F16: a disk that is full, again and again, under load.

A file system of its own needs a mount: it is made in a mount namespace that needs no privileges (`unshare -Urm`), in
which a harness of its own runs (`python -m tests.faults.disk FOLDER SEED CYCLES`) with the embedded stack. FlowForge's
home is a small tmpfs; the ledger and what the processes print are on the machine's own disk.
"""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from tests.faults import world as worlds
from tests.faults.client import Caller, CutOff, Unheard
from tests.faults.judge import Verdict
from tests.faults.scenarios import Scenario
from tests.faults.world import CannotHave, World
from tests.support.service import CHECKOUT

NAMESPACE = ("unshare", "-Urm", "--propagation", "private")
SIZE_MIB = 48
BITES_SECONDS = 40.0  # until somebody notices: SQLite first uses up what its files have already
FULL_SECONDS = (3.0, 10.0)  # shorter and longer than a lease
CHUNK = 64 * 1024
FIRM = frozenset((200, 202, 409, 429, 503, 507))  # 409: the same key, whose first call has not come to its end
DEADLINE_SECONDS = 400.0


@dataclass(frozen=True, kw_only=True)
class FullDisk:
    """Plays on a world of its own; raises CannotHave where there is no such mount."""

    name: str
    faults: str
    cycles: int

    def run(self, world: World, seed: int) -> Verdict:
        if not can_mount():
            raise CannotHave("a file system of its own (unshare -Urm, mount -t tmpfs) is not to be had here")
        with tempfile.TemporaryDirectory(prefix="flowforge-disk-") as folder:
            command = [*NAMESPACE, sys.executable, "-m", "tests.faults.disk", folder, str(seed), str(self.cycles)]
            told = _output_of(command)
        verdict: dict[str, Any] = told["verdict"]
        world.tally.update(told["tally"])
        return Verdict(**verdict | {"counts": Counter(verdict["counts"])})


def can_mount() -> bool:
    """Whether this machine lets whoever we are mount a tmpfs of their own."""
    if shutil.which("unshare") is None or shutil.which("mount") is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        command = [*NAMESPACE, "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
        return subprocess.run(command, capture_output=True, check=False, timeout=20).returncode == 0


def _output_of(command: Sequence[str]) -> dict[str, Any]:
    """What it says in its last line; the rest is passed on. It ends its own children when it is asked to end."""
    process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    try:
        printed, _ = process.communicate(timeout=DEADLINE_SECONDS)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(30)
    *lines, last = printed.splitlines() or [""]
    for line in lines:
        print(line, flush=True)
    assert process.returncode == 0, f"the harness on the small disk ended with {process.returncode}: {last}"
    found: dict[str, Any] = json.loads(last)
    return found


# --- within the namespace ---------------------------------------------------------------------------------------------


def fill(world: World) -> None:
    """Not a byte is left, until someone has been refused because of it and for a while longer; then there is space."""
    ballast = world.site.home / "ballast"
    try:
        _write_until_full(ballast)
        _await_refusal(world, ballast)
        stop_at = time.monotonic() + world.chance.choice(FULL_SECONDS)
        while time.monotonic() < stop_at:
            _write_until_full(ballast)  # whatever was freed meanwhile
            time.sleep(0.2)
    finally:
        ballast.unlink()
    world.tally["disks full"] += 1
    world.heal()


def _write_until_full(path: Path) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        size = CHUNK
        while size:
            try:
                os.write(file, b"\0" * size)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                size //= 16
    finally:
        os.close(file)


def _await_refusal(world: World, ballast: Path) -> None:
    caller, deadline = world.caller(), time.monotonic() + BITES_SECONDS
    while not _is_refused(caller):
        assert time.monotonic() < deadline, "the disk is full, and nobody minds: this proves nothing"
        _write_until_full(ballast)
        time.sleep(0.1)
    caller.close()


def _is_refused(caller: Caller) -> bool:
    """Storing a workflow is a write: nobody misses it."""
    definition = {"nodes": [{"id": "a", "type": "transform", "config": {"values": {}}}], "edges": []}
    try:
        status = caller.ask("POST", "/v1/workflows", {"name": "filler " + "x" * 100, "definition": definition}).status
    except (CutOff, Unheard):
        return False
    assert status in (201, *FIRM), f"on a full disk a write is answered with {status}"
    return status >= 500


@dataclass(frozen=True, kw_only=True)
class Filled(Scenario):
    """Beside what every scenario asks: clients were refused in words, and the file system is as it was."""

    def run(self, world: World, seed: int) -> Verdict:
        refusals: list[int] = []
        verdict = super().run(world, seed)
        for each in verdict.offered:
            refusals += [status for status in each.statuses if status not in FIRM]
        if refusals:
            verdict.violations.append(f"on a full disk clients were answered {dict(Counter(refusals))}")
        return verdict


def play(folder: Path, seed: int, cycles: int) -> tuple[Verdict, Counter[str]]:
    home = folder / "home"
    home.mkdir()
    options = f"size={SIZE_MIB}m,mode=700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(home)], check=True, timeout=20)
    with worlds.running("embedded", folder) as world:
        strikes = [fill] * cycles
        scenario = Filled(
            name="disk full", faults="F16", strikes=strikes, rate=6, patience=15, expected={"disks full": cycles}
        )
        verdict = scenario.run(world, seed)
        return verdict, world.tally


def main(arguments: Sequence[str]) -> None:
    signal.signal(signal.SIGTERM, _leave)
    folder, seed, cycles = arguments
    verdict, tally = play(Path(folder), int(seed), int(cycles))
    told = {name: getattr(verdict, name) for name in ("violations", "counts", "histories", "recoveries")}
    print(json.dumps({"verdict": told, "tally": tally}), flush=True)


def _leave(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    main(sys.argv[1:])
