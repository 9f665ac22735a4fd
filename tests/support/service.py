"""FlowForge as real processes: `manage.py …` as a child with a home and a port of its own, ended by its pid."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from flowforge.steps import leftovers
from tests.bench.client import KEY, Client

CHECKOUT = Path(__file__).resolve().parents[2]
OURS = ("FLOWFORGE_", "DJANGO_", "OTEL_", "DATABASE_URL", "BROKER_URL", "CACHE_URL", "HOST", "PORT")
START_SECONDS = 60.0  # of a busy machine
LOOK_SECONDS = 0.01

T = TypeVar("T")


def until(check: Callable[[], T], seconds: float, what: str) -> T:
    """The first true answer of `check`; fails with `what` and the last answer once `seconds` are over."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what} (it is {found!r})"
        time.sleep(LOOK_SECONDS)


class Child:
    """A running `manage.py` command; what it prints goes to a file. `program`: what to run in place of manage.py."""

    def __init__(
        self,
        command: tuple[str, ...],
        environment: Mapping[str, str],
        output: Path,
        program: tuple[str, ...] = ("manage.py",),
    ) -> None:
        self.command = " ".join(command)
        self._output = output
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, *program, *command],
                cwd=CHECKOUT,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def printed(self) -> str:
        return self._output.read_text(errors="replace")

    @property
    def output_changed_at(self) -> float:
        """Unix seconds of the newest thing that it has printed."""
        return self._output.stat().st_mtime

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def ended(self, seconds: float) -> int:
        """Its exit code, once it has ended by itself."""
        until(lambda: not self.is_alive, seconds, f"`{self.command}` ends; it printed:\n{self.printed[-3000:]}")
        return int(self.process.returncode)

    def end(self, number: int = signal.SIGTERM, seconds: float = 30.0) -> int:
        """Ask it to end; its exit code."""
        self.process.send_signal(number)
        return self.ended(seconds)

    def kill(self) -> None:
        """SIGKILL, if it still lives."""
        self.process.kill()
        self.process.wait()


@dataclass(kw_only=True)
class Site:
    """What the processes of one installation share: home, address, database, broker."""

    home: Path
    port: int
    environment: dict[str, str]
    program: tuple[str, ...] = ("manage.py",)
    children: list[Child] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def database(self) -> str:
        return self.environment.get("DATABASE_URL") or f"sqlite:///{self.home / 'flowforge.sqlite3'}"

    def run(self, *command: str, **environment: str) -> Child:
        """Start a command; the site ends it if the test does not."""
        output = self.home.parent / f"{self.home.name}-{len(self.children)}.log"
        child = Child(command, self.environment | environment, output, self.program)
        self.children.append(child)
        return child

    def serve(self, *command: str, **environment: str) -> Child:
        """Start a command that serves; returns once it answers."""
        child = self.run(*command, **environment)
        until(lambda: self._answers(child), START_SECONDS, f"`{child.command}` serves; it printed {child.printed}")
        return child

    def client(self) -> Client:
        """One caller: not to be shared by threads, nor to be kept over a restart."""
        self.clients.append(Client(self.port))
        return self.clients[-1]

    def step_processes(self) -> list[int]:
        """Processes that steps of this site have started, daemons included: those that know its scratch folders."""
        mark = os.fsencode(self.home / "scratch")
        return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _names(entry, mark)]

    def scratch_folders(self) -> list[str]:
        folder = self.home / "scratch"
        return sorted(os.listdir(folder)) if folder.exists() else []

    def end(self) -> None:
        for client in self.clients:
            client.close()
        for child in self.children:
            if child.is_alive:
                child.kill()
        leftovers.kill_all(self.step_processes(), signal.SIGKILL)

    def _answers(self, child: Child) -> bool:
        assert child.is_alive, f"`{child.command}` has ended; it printed:\n{child.printed}"
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/readyz", timeout=2):
            return True
        return False


@contextlib.contextmanager
def site(home: Path, **environment: str) -> Iterator[Site]:
    """A place for processes, with nothing of the caller's own settings; at the end none of them lives."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    port = free_port()
    own = {
        "FLOWFORGE_HOME": str(home),
        "FLOWFORGE_API_KEY": KEY,
        "FLOWFORGE_RATE_GENERAL": "100000000/m",
        "FLOWFORGE_RATE_RUNS": "100000000/m",
        "PORT": str(port),
    }
    found = Site(home=home, port=port, environment=kept | own | environment)
    try:
        yield found
    finally:
        found.end()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _names(process: Path, mark: bytes) -> bool:
    """Whether a process's environment or command line holds `mark`."""
    try:
        return mark in (process / "environ").read_bytes() or mark in (process / "cmdline").read_bytes()
    except OSError:
        return False  # it ended meanwhile
