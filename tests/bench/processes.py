"""The processes of a system that is measured: started with a log, looked at, ended by their ids with all below them."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import psutil

STOP_SECONDS = 20.0
OURS = ("FLOWFORGE_", "DJANGO_", "OTEL_", "DATABASE_URL", "BROKER_URL", "CACHE_URL")  # settings of whoever calls us


class Processes:
    """Started by `start`, ended by `end`; what they print goes to one log."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._roots: list[psutil.Popen] = []

    def start(
        self, command: Sequence[str | Path], environment: Mapping[str, str], folder: Path, *, pipes: bool = False
    ) -> psutil.Popen:
        """In a session of its own; `pipes`: with its standard input and output in our hands."""
        with self.log.open("ab") as log:
            process = psutil.Popen(
                [str(word) for word in command],
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
                stdout=subprocess.PIPE if pipes else log,
                stderr=log,
                start_new_session=True,
            )
        self._roots.append(process)
        return process

    def all(self) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for root in self._roots:
            with contextlib.suppress(psutil.NoSuchProcess):
                found += [psutil.Process(root.pid), *root.children(recursive=True)]
        return found

    def memory_mb(self) -> float:
        """Memory of all of them; pages that they share are counted once (proportional set size)."""
        total = 0
        for process in self.all():
            with contextlib.suppress(psutil.NoSuchProcess):
                full = process.memory_full_info()
                total += getattr(full, "pss", full.rss)
        return total / 2**20

    def cpu_seconds(self) -> float:
        """Processor time that those alive have used, children that have ended included."""
        total = 0.0
        for process in self.all():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += sum(process.cpu_times()[:4])
        return total

    def require_alive(self) -> None:
        for root in self._roots:
            if root.poll() is not None:
                raise RuntimeError(f"{Path(root.args[0]).name} has ended: {self.last_words()}")

    def last_words(self) -> str:
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1][:300] if lines else "it said nothing"

    def end(self) -> None:
        """Ask, wait, then kill what is left of the trees. psutil knows a process by id and moment of start."""
        everything = self.all()
        for root in self._roots:
            with contextlib.suppress(psutil.NoSuchProcess):
                root.send_signal(signal.SIGTERM)
        _, left = psutil.wait_procs(self._roots, timeout=STOP_SECONDS)
        for process in {*left, *everything}:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs([*self._roots, *everything], timeout=5)
        for root in self._roots:
            for pipe in filter(None, (root.stdin, root.stdout)):
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self._roots.clear()


@contextlib.contextmanager
def processes(log: Path) -> Iterator[Processes]:
    found = Processes(log)
    try:
        yield found
    finally:
        found.end()


@contextlib.contextmanager
def within(seconds: float, what: str) -> Iterator[None]:
    """Raise TimeoutError in the main thread once the time is over, wherever it is."""

    def stop(signum: int, frame: object) -> None:
        raise TimeoutError(f"{what} took more than {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def run_as_command(main: Callable[[], int | None]) -> NoReturn:
    """End with its exit code; Ctrl-C and SIGTERM take the way out on which everything that was started is ended."""

    def leave(signum: int, frame: object) -> NoReturn:
        raise SystemExit(128 + signum)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    sys.exit(main())


def environment(**own: str | Path | int) -> dict[str, str]:
    """The caller's, without its settings for FlowForge; byte code is kept, as on a user's machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept | {name: str(value) for name, value in own.items()}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, alive: Processes, seconds: float = 90.0) -> None:
    """Until the address answers 200; raises when a process has ended or the time is over."""
    until(lambda: _answers(url), alive, seconds, f"{url} does not answer")


def until(check: Callable[[], object], alive: Processes, seconds: float, failure: str) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        alive.require_alive()
        if time.monotonic() > deadline:
            raise RuntimeError(f"{failure} within {seconds:.0f} s: {alive.last_words()}")
        time.sleep(0.01)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:  # refused, reset, or an answer of 400 and more
        return False
