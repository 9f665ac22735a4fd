"""The system under fault: FlowForge's processes, its servers and the ledger, all children of the harness.

Whoever starts a fault counts it in `tally`; each process is ended by its stored pid, or that of its group.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.faults import ledger, step_types
from tests.faults.client import Caller, CutOff, Unheard
from tests.support import servers
from tests.support.invariants import fetch
from tests.support.service import Child, Site, site, until

StackName = Literal["embedded", "fleet", "rabbitmq"]
PROGRAM = ("-m", "tests.faults.launch")
AMQP = "amqp://guest:guest@127.0.0.1:5672/"
START_SECONDS = 90.0  # of a busy machine


class CannotHave(Exception):
    """This stack cannot be had here; the message says why, in one line."""


@dataclass(kw_only=True)
class World:
    """One stack and what befell it."""

    stack: StackName
    folder: Path
    site: Site
    ledger_file: Path
    roles: tuple[str, ...]  # processes of FlowForge that there have to be
    postgres: servers.Server | None = None
    valkey: servers.Server | None = None
    vhost: str = ""  # of RabbitMQ
    chance: random.Random = field(default_factory=random.Random)
    processes: dict[str, Child] = field(default_factory=dict)
    by_role: dict[str, dict[str, str]] = field(default_factory=dict)  # environment of those that start from now on
    tally: Counter[str] = field(default_factory=Counter)
    deaths: list[tuple[int, float]] = field(default_factory=list)  # (pid, Unix seconds) of whoever was killed
    doomed: bool = False  # processes may kill themselves at any time
    seen: Counter[int] = field(default_factory=Counter)  # strikes of failpoints, by child, that are tallied
    _failpoints: str = ""
    _hints: str = ""

    # --- processes --------------------------------------------------------------------------------------------------

    @property
    def web(self) -> str:
        return "up" if self.stack == "embedded" else "web"

    @property
    def workers(self) -> list[str]:
        return [role for role in self.roles if role not in ("web", "beat")]

    @property
    def database(self) -> str:
        return self.site.database

    def caller(self) -> Caller:
        return Caller(self.site.port)

    def start(self, role: str, *, wait: bool = True) -> Child:
        command = {"up": ("up", "--quiet"), "web": ("serve",)}.get(role, ("work",))
        child = self.processes[role] = self.site.run(*command, **self.by_role.get(role, {}))
        if wait:
            self.await_role(role)
        return child

    def await_role(self, role: str) -> bool:
        """Until a process serves, or works; False if it has killed itself meanwhile, as it may."""
        child = self.processes[role]
        deadline = time.monotonic() + START_SECONDS
        while not self._is_up(role, child):
            if not child.is_alive:
                assert self.doomed, f"{role} has ended; it printed:\n{child.printed[-5000:]}"
                return False
            assert time.monotonic() < deadline, f"{role} does not come up; it printed:\n{child.printed[-5000:]}"
            time.sleep(0.05)
        return True

    def _is_up(self, role: str, child: Child) -> bool:
        if role != self.web:
            return "working" in child.printed
        caller = self.caller()
        try:
            return caller.ask("GET", "/readyz").status == 200
        except (Unheard, CutOff):
            return False
        finally:
            caller.close()

    def kill(self, role: str) -> None:
        """SIGKILL to all of its group."""
        child = self.processes[role]
        if child.is_alive:
            self.deaths.append((child.pid, time.time()))
            os.killpg(child.pid, signal.SIGKILL)
            child.process.wait()

    def heal(self) -> None:
        """Start whoever is missing."""
        self.count_strikes()
        for role in self.roles:
            child = self.processes.get(role)
            if child is None or not child.is_alive:
                self.start(role, wait=False)
        while not all(self.await_role(role) for role in self.roles):
            for role in self.roles:
                if not self.processes[role].is_alive:
                    self.start(role, wait=False)

    def restart(self, *roles: str) -> None:
        """End and start again, for a change of environment."""
        for role in roles or self.roles:
            if self.processes[role].is_alive:
                self.processes[role].process.send_signal(signal.SIGTERM)
        for role in roles or self.roles:
            self.processes[role].ended(60)
        self.heal()

    # --- failpoints and hints ---------------------------------------------------------------------------------------

    def arm(self, text: str, *roles: str) -> None:
        """Arm failpoints in these processes, or in all that run; "" disarms them. Who starts later has none."""
        self._failpoints = text
        self._tell(roles)

    def disturb_hints(self, text: str) -> None:
        """See tests/faults/launch.py; it holds for processes that start later, too."""
        self._hints = text
        self._tell()

    def _tell(self, roles: Collection[str] = ()) -> None:
        fresh = self.folder / "control.new"
        fresh.write_text(f"{self._failpoints}\n{self._hints}")
        fresh.replace(self.folder / "control")
        for role, child in self.processes.items():
            if child.is_alive and (not roles or role in roles):
                child.process.send_signal(signal.SIGUSR2)
        time.sleep(0.1)

    def count_strikes(self) -> int:
        """Failpoints that have struck since the last look, all told in what the processes print."""
        found = 0
        for child in self.site.children:
            lines = [line for line in child.printed.splitlines() if '"message":"failpoint ' in line]
            fresh = lines[self.seen[child.pid] :]
            self.seen[child.pid] += len(fresh)
            found += len(fresh)
            for line in fresh:
                kind = line.partition('"message":"failpoint ')[2].partition(" strikes")[0]
                self.tally[f"failpoint {kind.partition(':')[2].partition('=')[0]}"] += 1
                if kind.endswith("kill9"):
                    self.deaths.append((child.pid, child.output_changed_at))
        return found

    @property
    def bells_log(self) -> Path:
        return self.folder / "bells"

    def count_bells(self) -> None:
        if self.bells_log.exists():
            told = Counter(self.bells_log.read_bytes())
            self.tally["hints dropped"] = told[ord("-")]
            self.tally["hints doubled"] = told[ord("+")]

    # --- what it looks like -----------------------------------------------------------------------------------------

    def query(self, text: str) -> list[tuple[object, ...]]:
        return fetch(self.database, text)

    def effects(self) -> list[ledger.Effect]:
        return ledger.read(self.ledger_file)

    def stacks(self) -> str:
        """The stack of every thread of every process, and the newest lines that it has printed."""
        for child in self.processes.values():
            if child.is_alive:
                child.process.send_signal(signal.SIGUSR1)
        time.sleep(1)
        return "\n".join(f"--- {role}\n{child.printed[-12_000:]}" for role, child in self.processes.items())


def _environment(folder: Path, port: int) -> dict[str, str]:
    return {
        "FLOWFORGE_STEP_TYPES": step_types.PATHS,
        step_types.PORT_VARIABLE: str(port),
        "FAULTS_CONTROL": str(folder / "control"),
        "FAULTS_BELLS_LOG": str(folder / "bells"),
        "FLOWFORGE_DRAIN_SECONDS": "10",
        "PYTHONHASHSEED": "0",
    }


@contextlib.contextmanager
def running(stack: StackName, folder: Path, *, workers: int = 2) -> Iterator[World]:
    """A stack with all its processes up. Raises CannotHave. The folder has to be one that every user may enter."""
    with contextlib.ExitStack() as exits:
        port = exits.enter_context(ledger.running(folder / "ledger"))
        environment = _environment(folder, port)
        postgres = valkey = None
        vhost = ""
        if stack != "embedded":
            postgres = _server(exits, folder / "postgres", "PostgreSQL")
            environment["DATABASE_URL"] = postgres.url
        if stack == "fleet":
            valkey = _server(exits, folder / "valkey", "Valkey")
            environment["BROKER_URL"] = valkey.url
        if stack == "rabbitmq":
            vhost = exits.enter_context(_vhost())
            environment["BROKER_URL"] = AMQP + vhost
        found = exits.enter_context(site(folder / "home", **environment))
        found.program = PROGRAM
        roles = ("up",) if stack == "embedded" else ("web", *(f"worker-{number}" for number in range(1, workers + 1)))
        world = World(
            stack=stack,
            folder=folder,
            site=found,
            ledger_file=folder / "ledger",
            roles=roles,
            postgres=postgres,
            valkey=valkey,
            vhost=vhost,
        )
        _prepare(world)
        yield world


def _prepare(world: World) -> None:
    if world.stack != "embedded":
        for command in ("migrate", "bootstrap"):
            child = world.site.run(command)
            assert child.ended(START_SECONDS) == 0, child.printed
    world.heal()
    client = world.site.client()
    for name in (*step_types.NAMES, "generic", "python"):
        client.allow(name)


def _server(exits: contextlib.ExitStack, folder: Path, name: str) -> servers.Server:
    """PostgreSQL keeps what it has committed, as in production: it will be ended in the middle of its work."""
    folder.mkdir()
    try:
        made = servers.valkey_server(folder) if name == "Valkey" else servers.postgres_server(folder, durable=True)
        return exits.enter_context(made.running())
    except servers.CannotStart as error:
        raise CannotHave(f"{name} cannot be had: {error}") from error


@contextlib.contextmanager
def _vhost() -> Iterator[str]:
    """A virtual host of our own on the machine's RabbitMQ, which others may be using."""
    if shutil.which("rabbitmqctl") is None:
        raise CannotHave("there is no rabbitmqctl")
    name = f"flowforge-faults-{uuid.uuid4().hex[:8]}"
    if rabbitmqctl("add_vhost", name) != 0 or rabbitmqctl("set_permissions", "-p", name, "guest", ".*", ".*", ".*"):
        raise CannotHave("no RabbitMQ answers to rabbitmqctl")
    try:
        yield name
    finally:
        rabbitmqctl("delete_vhost", name)


def rabbitmqctl(*arguments: str) -> int:
    return subprocess.run(["rabbitmqctl", "-q", *arguments], capture_output=True, check=False, timeout=60).returncode


def rabbitmqctl_says(*arguments: str) -> str:
    return subprocess.run(["rabbitmqctl", "-q", *arguments], capture_output=True, check=False, text=True).stdout


def alone(world: World) -> None:
    """Fails if a process of a step, or its folder, has outlived its step."""
    until(lambda: not world.site.step_processes(), 10, "no process of a step is left")
    until(lambda: not world.site.scratch_folders(), 10, "no scratch folder is left")


def row_id(value: object) -> str:
    """An id as SQLite keeps it, whichever database it came from."""
    return str(value).replace("-", "")
