"""Prefect: a server with its database; flows run in the caller's process, which is the fastest way that it has.

Deployments that it serves are started by polling: some ten seconds from the call to the end of an empty run.
"""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.client import Connection
from tests.bench.peers.asking import Asked, AskingDriver
from tests.bench.peers.environment import Recipe, python_of, versions
from tests.bench.processes import environment, free_port, processes, wait_for
from tests.bench.services import Services
from tests.bench.systems import Driver, Reading, Sizes, System

LISTING = {"limit": 50, "sort": "START_TIME_DESC"}


class Driving(AskingDriver):
    port: int

    def connect(self) -> Connection:
        return Connection(self.port)

    def reading(self) -> Reading:
        with contextlib.closing(self.connect()) as caller:
            run = caller.call("POST", "/api/flow_runs/filter", {"limit": 1})[0]["id"]
        return Reading(
            connect=self.connect,
            one=lambda caller: caller.call("GET", f"/api/flow_runs/{run}"),
            fifty=lambda caller: caller.call("POST", "/api/flow_runs/filter", LISTING),
        )


class Prefect(System):
    name = environment = "prefect"
    title = "Prefect, SQLite"
    # newer versions of FastAPI break this one
    recipe = Recipe(python=("prefect==3.8.8", "fastapi>=0.139,<0.141", "asyncpg==0.32.0"))
    stack = bound = "sqlite"
    durability = "SQLite, its default; states of tasks travel as events, written in batches; a server and the caller"
    driven = "flows called in process; reads by HTTP"
    sizes = Sizes(chains=2, runs=24, width=500, singles=6, reads=200, settle=5.0, warm_up=False)
    rounds = 2

    def __init__(self, folder: Path, services: Services) -> None:
        super().__init__(folder, services)
        self.port = free_port()
        self.variables = environment(
            PREFECT_HOME=folder,
            PREFECT_API_URL=f"http://127.0.0.1:{self.port}/api",
            PREFECT_SERVER_ANALYTICS_ENABLED="false",
            DO_NOT_TRACK="1",
            PREFECT_LOGGING_LEVEL="WARNING",
            PREFECT_SERVER_LOGGING_LEVEL="WARNING",
        )

    @classmethod
    def version(cls) -> str:
        return versions("prefect", "prefect", "fastapi")

    @contextlib.contextmanager
    def running(self) -> Iterator[Driver]:
        python = python_of("prefect")
        server = [python.with_name("prefect"), "server", "start", "--port", str(self.port)]
        with processes(self.folder / "log") as alive:
            began = time.perf_counter()
            alive.start(server, self.variables, self.folder)
            wait_for(f"http://127.0.0.1:{self.port}/api/health", alive)
            seconds = time.perf_counter() - began
            asked = Asked(alive, python, "prefect_app.py", self.variables, self.folder)
            asked.ask("chain", 1)
            driver = Driving(asked, alive, seconds)
            driver.port = self.port
            yield driver
