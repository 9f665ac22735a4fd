"""What is measured: FlowForge as one process on SQLite, or as its processes on PostgreSQL and Valkey."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.client import KEY, Client
from tests.support import servers

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0


@dataclass(frozen=True)
class Stack:
    name: str
    port: int
    start_seconds: float  # from the command to the first answer
    pids: tuple[int, ...]  # FlowForge's own processes

    def memory_mb(self) -> float:
        """Resident memory of all its processes."""
        return sum(_resident_kb(pid) for pid in self.pids) / 1024


@contextlib.contextmanager
def embedded() -> Iterator[Stack]:
    """One process, SQLite with synchronous=FULL."""
    with tempfile.TemporaryDirectory(prefix="flowforge-bench-") as folder:
        environment = _environment(Path(folder))
        _manage(["up", "--demo", "--quiet"], environment)  # the first start migrates
        with _running([["up", "--quiet"]], environment) as (pids, seconds):
            yield Stack("SQLite, one process", int(environment["PORT"]), seconds, pids)


@contextlib.contextmanager
def production() -> Iterator[Stack]:
    """A web process and a worker process on PostgreSQL (fsync on) and Valkey."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="flowforge-bench-")))
        folder.chmod(0o755)
        for name in ("postgres", "valkey"):
            (folder / name).mkdir()
        environment = _environment(folder) | {
            "DATABASE_URL": stack.enter_context(servers.postgres(folder / "postgres", durable=True)),
            "BROKER_URL": stack.enter_context(servers.valkey(folder / "valkey")),
        }
        _manage(["migrate", "--verbosity=0"], environment)
        _manage(["bootstrap"], environment)
        with _running([["serve"], ["work"]], environment) as (pids, seconds):
            yield Stack("PostgreSQL + Valkey, web + worker", int(environment["PORT"]), seconds, pids)


STACKS = {"sqlite": embedded, "postgres": production}


def _environment(folder: Path) -> dict[str, str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FLOWFORGE_", "DJANGO_"))}
    unlimited = {f"FLOWFORGE_RATE_{bucket}": "100000000/m" for bucket in ("GENERAL", "RUNS")}
    return (
        kept
        | unlimited
        | {
            "FLOWFORGE_HOME": str(folder / "home"),
            "FLOWFORGE_API_KEY": KEY,
            "FLOWFORGE_STEP_TYPES": "tests.bench.step_types.Fib",
            "PORT": str(port),
        }
    )


def _manage(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    subprocess.run([sys.executable, "manage.py", *arguments], cwd=ROOT, env=environment, check=True, timeout=120)


@contextlib.contextmanager
def _running(
    commands: Sequence[Sequence[str]], environment: Mapping[str, str]
) -> Iterator[tuple[tuple[int, ...], float]]:
    began = time.monotonic()
    processes = [
        subprocess.Popen([sys.executable, "manage.py", *command], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        for command in commands
    ]
    try:
        _wait_until_ready(int(environment["PORT"]), processes)
        seconds = time.monotonic() - began
        Client(int(environment["PORT"])).allow("fib")
        yield tuple(process.pid for process in processes), seconds
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait(timeout=60)


def _wait_until_ready(port: int, processes: Sequence[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if any(process.poll() is not None for process in processes):
            raise RuntimeError("a process of the stack has ended")
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
            return
        time.sleep(0.01)
    raise RuntimeError("the stack does not answer")


def _resident_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0
