"""FlowForge as it is measured: one process on SQLite, or a web and a worker process on PostgreSQL and Valkey."""

import contextlib
import subprocess
import sys
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from tests.bench import step_types
from tests.bench.client import KEY, Client
from tests.bench.peers.environment import CHECKOUT
from tests.bench.processes import Processes, environment, free_port, processes, wait_for
from tests.bench.services import Services
from tests.bench.systems import Driver, Reading, System, timed_spread


def chain(kind: str, length: int, **config: Any) -> dict[str, Any]:
    nodes = [node(kind, f"s{place}", **config) for place in range(length)]
    return {"nodes": nodes, "edges": [{"source": f"s{n}", "target": f"s{n + 1}"} for n in range(length - 1)]}


def fan(width: int) -> dict[str, Any]:
    nodes = [*(node("fib", f"s{place}") for place in range(width)), node("transform", "join")]
    edges = [{"source": f"s{place}", "target": "join"} for place in range(width)]
    return {"nodes": nodes, "edges": edges, "config": {"max_concurrency": width}}


def node(kind: str, node_id: str, **config: Any) -> dict[str, Any]:
    defaults: Mapping[str, Any] = {"fib": {"n": 10}, "transform": {"values": {"n": "{{ 10 }}"}}}.get(kind, {})
    return {"id": node_id, "type": kind, "config": {**defaults, **config}}


class Driving(Driver):
    """Over the HTTP API, as any client would."""

    def __init__(self, port: int, alive: Processes, start_seconds: float) -> None:
        super().__init__(alive, start_seconds)
        self.port = port
        self.client = Client(port)
        self._workflows: dict[str, str] = {}

    def connect(self) -> Client:
        return Client(self.port)

    def workflow(self, name: str, make: Callable[[], Mapping[str, Any]]) -> str:
        """Its id; made when it is asked for first."""
        if name not in self._workflows:
            self._workflows[name] = self.client.create(name, make())
        return self._workflows[name]

    def complete(self, workflow: str) -> float:
        began = time.perf_counter()
        run = self.client.start(workflow, wait="60s")
        seconds = time.perf_counter() - began
        if run["status"] != "completed":
            raise RuntimeError(f"the run is {run['status']}: {run['error']}")
        return seconds

    def chain(self, steps: int) -> float:
        return self.complete(self.workflow(f"chain of {steps}", lambda: chain("fib", steps)))

    def pure_chain(self, steps: int) -> float:
        return self.complete(self.workflow(f"pure chain of {steps}", lambda: chain("transform", steps)))

    def fan(self, width: int) -> float:
        return self.complete(self.workflow(f"fan of {width}", lambda: fan(width)))

    def many(self, runs: int, steps: int) -> float:
        workflow = self.workflow(f"chain of {steps}", lambda: chain("fib", steps))
        return self._until_ended(
            workflow, runs, lambda: timed_spread(runs, self.connect, lambda caller: caller.start(workflow))
        )

    def batch(self, runs: int, steps: int) -> float:
        workflow = self.workflow(f"chain of {steps}", lambda: chain("fib", steps))
        items = [{"inputs": {}} for _ in range(runs)]
        path = f"/v1/workflows/{workflow}/runs:batch"
        return self._until_ended(workflow, runs, lambda: self.client.call("POST", path, {"items": items}))

    def reading(self) -> Reading:
        run = self.client.start(self.workflow("chain of 5", lambda: chain("fib", 5)), wait="60s")["id"]
        return Reading(
            connect=self.connect,
            one=lambda caller: caller.call("GET", f"/v1/runs/{run}"),
            fifty=lambda caller: caller.call("GET", "/v1/runs?limit=50"),
        )

    def _until_ended(self, workflow: str, runs: int, start: Callable[[], object]) -> float:
        before = self.client.ended(workflow)
        began = time.perf_counter()
        start()
        self.client.wait_until_all_ended(workflow, before + runs)
        return time.perf_counter() - began


class FlowForge(System):
    """What both stacks have in common."""

    driven = "HTTP; `wait` for single runs"
    commands: ClassVar[tuple[tuple[str, ...], ...]]

    def __init__(self, folder: Path, services: Services) -> None:
        super().__init__(folder, services)
        self.variables = environment(
            FLOWFORGE_HOME=folder / "home",
            FLOWFORGE_API_KEY=KEY,
            FLOWFORGE_STEP_TYPES=step_types.PATHS,
            FLOWFORGE_RATE_GENERAL="100000000/m",
            FLOWFORGE_RATE_RUNS="100000000/m",
            PORT=free_port(),
        )

    @classmethod
    def version(cls) -> str:
        revision = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=CHECKOUT, capture_output=True, text=True, check=False
        )
        return f"this checkout ({revision.stdout.strip() or 'no git here'})"

    def prepare(self) -> None:
        self.set_up()
        super().prepare()

    @abstractmethod
    def set_up(self) -> None:
        """Make the tables and the project."""

    @contextlib.contextmanager
    def running(self) -> Iterator[Driving]:
        port = int(self.variables["PORT"])
        with processes(self.folder / "log") as alive:
            began = time.perf_counter()
            for command in self.commands:
                alive.start([sys.executable, "manage.py", *command], self.variables, CHECKOUT)
            wait_for(f"http://127.0.0.1:{port}/readyz", alive)
            driver = Driving(port, alive, time.perf_counter() - began)
            with contextlib.closing(driver.client):
                driver.client.allow("fib", "sleep")
                yield driver

    def manage(self, *arguments: str) -> None:
        with (self.folder / "log").open("ab") as log:
            subprocess.run(
                [sys.executable, "manage.py", *arguments],
                cwd=CHECKOUT,
                env=self.variables,
                stdout=log,
                stderr=log,
                check=True,
                timeout=120,
            )


class OnSqlite(FlowForge):
    name = "flowforge-sqlite"
    title = "FlowForge, SQLite"
    stack = bound = "sqlite"
    durability = "SQLite, WAL, synchronous=FULL; one process"
    commands = (("up", "--quiet"),)

    def set_up(self) -> None:
        self.manage("up", "--demo", "--quiet")


class OnPostgres(FlowForge):
    name = "flowforge-postgres"
    title = "FlowForge, PostgreSQL"
    stack = bound = "postgres"
    durability = "PostgreSQL, fsync and synchronous_commit on; Valkey carries hints alone; a web and a worker process"
    commands = (("serve",), ("work",))

    def set_up(self) -> None:
        self.variables |= {"DATABASE_URL": self.services.database("flowforge"), "BROKER_URL": self.services.broker()}
        self.manage("migrate", "--verbosity=0")
        self.manage("bootstrap")


STACKS: dict[str, type[FlowForge]] = {"sqlite": OnSqlite, "postgres": OnPostgres}


def set_up(stack: str, services: Services) -> FlowForge:
    """A stack of its own, with its tables and its project, not started."""
    folder = services.folder / f"flowforge-{stack}"
    folder.mkdir()
    system = STACKS[stack](folder, services)
    system.set_up()
    return system
