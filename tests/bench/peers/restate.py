"""Restate: a server in Rust that journals every step in its own log and calls a service (`apps/restate_app.py`)."""

import contextlib
import platform
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.client import Connection
from tests.bench.peers.asking import APPS
from tests.bench.peers.environment import Recipe, node_modules_of, python_of, versions
from tests.bench.processes import Processes, environment, free_port, processes, until, wait_for
from tests.bench.services import Services
from tests.bench.systems import Driver, Reading, System, timed_spread

LISTING = "SELECT id, target, status, created_at, completed_at FROM sys_invocation ORDER BY created_at DESC LIMIT 50"


class Driving(Driver):
    def __init__(self, ingress: int, admin: int, alive: Processes, start_seconds: float) -> None:
        super().__init__(alive, start_seconds)
        self.ingress, self.admin = ingress, admin
        self.caller = Connection(ingress)

    def connect(self) -> Connection:
        return Connection(self.ingress)

    def chain(self, steps: int) -> float:
        return self._complete("chain", steps)

    def fan(self, width: int) -> float:
        return self._complete("fan", width)

    def many(self, runs: int, steps: int) -> float:
        began = time.perf_counter()
        _, sent = timed_spread(runs, self.connect, lambda caller: caller.call("POST", "/bench/chain/send", steps))
        for invocation in sent:
            self.caller.call("GET", f"/restate/invocation/{invocation['invocationId']}/attach")
        return time.perf_counter() - began

    def reading(self) -> Reading:
        run = self.caller.call("POST", "/bench/chain/send", 5)["invocationId"]
        self.caller.call("GET", f"/restate/invocation/{run}/attach")
        one = {"query": f"SELECT * FROM sys_invocation WHERE id = '{run}'"}
        return Reading(
            connect=lambda: Connection(self.admin, {"Accept": "application/json"}),
            one=lambda caller: caller.call("POST", "/query", one),
            fifty=lambda caller: caller.call("POST", "/query", {"query": LISTING}),
        )

    def _complete(self, handler: str, steps: int) -> float:
        began = time.perf_counter()
        result = self.caller.call("POST", f"/bench/{handler}", steps)
        seconds = time.perf_counter() - began
        if result != steps * 55:
            raise RuntimeError(f"{handler} of {steps} steps gave {result}")
        return seconds


class Restate(System):
    name = "restate"
    title = "Restate"
    environment = "restate"
    recipe = Recipe(
        python=("restate_sdk==1.2.0", "hypercorn==0.18.0"),
        node=("@restatedev/restate-server@1.7.12",),
    )
    bound = "file"
    durability = "its own log and RocksDB, synced; one server, one service process"
    driven = "HTTP; reads by its SQL API"

    @classmethod
    def version(cls) -> str:
        return f"server 1.7.12, {versions('restate', 'restate_sdk', 'hypercorn')}"

    def __init__(self, folder: Path, services: Services) -> None:
        super().__init__(folder, services)
        # the same after each start: the log knows the server, and the server its service, by their addresses
        self.service, self.ingress, self.admin, self.node = (free_port() for _ in range(4))

    @contextlib.contextmanager
    def running(self) -> Iterator[Driver]:
        with processes(self.folder / "log") as alive:
            serve = ["-m", "hypercorn", "--bind", f"127.0.0.1:{self.service}", "restate_app:app"]
            alive.start([python_of("restate"), *serve], environment(), APPS)
            began = time.perf_counter()
            self._start_server(alive)
            seconds = time.perf_counter() - began
            _register(alive, self.admin, self.service)
            driver = Driving(self.ingress, self.admin, alive, seconds)
            with contextlib.closing(driver.caller):
                yield driver

    def _start_server(self, alive: Processes) -> None:
        variables = environment(
            RESTATE_DISABLE_TELEMETRY="true",
            RESTATE_LOG_FILTER="warn",
            RESTATE_LISTEN_MODE="tcp",
            RESTATE_BIND_IP="127.0.0.1",
            RESTATE_BIND_PORT=self.node,
            RESTATE_INGRESS__BIND_PORT=self.ingress,
            RESTATE_ADMIN__BIND_PORT=self.admin,
        )
        alive.start([_server(), "--base-dir", self.folder / "data", "--node-name", "bench"], variables, self.folder)
        wait_for(f"http://127.0.0.1:{self.admin}/health", alive)
        wait_for(f"http://127.0.0.1:{self.ingress}/restate/health", alive)


def _server() -> Path:
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    package = f"@restatedev/restate-server-{platform.system().lower()}-{machine}"
    return node_modules_of("restate") / package / "bin" / "restate-server"


def _register(alive: Processes, admin: int, service: int) -> None:
    """Tell the server where the service is; it asks the service back, which may still be starting."""

    def attempt() -> bool:
        with contextlib.closing(Connection(admin)) as caller, contextlib.suppress(RuntimeError):
            caller.call("POST", "/deployments", {"uri": f"http://127.0.0.1:{service}", "force": True})
            return True
        return False

    until(attempt, alive, 30.0, "Restate does not find its service")
