"""DBOS: a library; workflows and steps are functions, every step a row. Its HTTP API is ours: `apps/dbos_app.py`."""

import contextlib
import time
from collections.abc import Iterator

from tests.bench.client import LOOK_SECONDS, Connection
from tests.bench.peers.asking import APPS
from tests.bench.peers.environment import Recipe, python_of, versions
from tests.bench.processes import Processes, environment, free_port, processes, wait_for
from tests.bench.systems import Driver, Reading, System, timed_spread


class Driving(Driver):
    def __init__(self, port: int, alive: Processes, start_seconds: float) -> None:
        super().__init__(alive, start_seconds)
        self.port = port
        self.caller = self.connect()

    def connect(self) -> Connection:
        return Connection(self.port)

    def chain(self, steps: int) -> float:
        return self._complete(f"/chain/{steps}", steps * 55)

    def fan(self, width: int) -> float:
        return self._complete(f"/fan/{width}", width * 55)

    def many(self, runs: int, steps: int) -> float:
        began = time.perf_counter()
        timed_spread(runs, self.connect, lambda caller: caller.call("POST", f"/chain/{steps}/start"))
        return self._until_ended(began)

    def batch(self, runs: int, steps: int) -> float:
        began = time.perf_counter()
        self.caller.call("POST", f"/chain/{steps}/batch/{runs}")
        return self._until_ended(began)

    def reading(self) -> Reading:
        run = self.caller.call("POST", "/chain/5")["id"]
        return Reading(
            connect=self.connect,
            one=lambda caller: caller.call("GET", f"/runs/{run}"),
            fifty=lambda caller: caller.call("GET", "/runs?limit=50"),
        )

    def _complete(self, path: str, expected: int) -> float:
        began = time.perf_counter()
        result = self.caller.call("POST", path)["result"]
        seconds = time.perf_counter() - began
        if result != expected:
            raise RuntimeError(f"{path} gave {result}")
        return seconds

    def _until_ended(self, began: float) -> float:
        while self.caller.call("GET", "/runs?limit=1&status=PENDING"):
            time.sleep(LOOK_SECONDS)
        return time.perf_counter() - began


class Dbos(System):
    environment = "dbos"
    recipe = Recipe(python=("dbos==3.4.0", "fastapi==0.163.2", "uvicorn==0.54.0", "psycopg[binary]==3.3.9"))
    driven = "HTTP (a thin FastAPI service around its functions)"
    database: str

    @classmethod
    def version(cls) -> str:
        return versions("dbos", "dbos", "fastapi")

    @contextlib.contextmanager
    def running(self) -> Iterator[Driver]:
        port = free_port()
        server = ["-m", "uvicorn", "--app-dir", APPS, "dbos_app:app", "--port", str(port), "--log-level", "warning"]
        with processes(self.folder / "log") as alive:
            began = time.perf_counter()
            alive.start([python_of("dbos"), *server], environment(BENCH_DATABASE_URL=self.database), self.folder)
            wait_for(f"http://127.0.0.1:{port}/health", alive)
            driver = Driving(port, alive, time.perf_counter() - began)
            with contextlib.closing(driver.caller):
                yield driver


class DbosOnSqlite(Dbos):
    name = "dbos-sqlite"
    title = "DBOS, SQLite"
    stack = bound = "sqlite"
    durability = "SQLite as DBOS opens it: rollback journal, synchronous=FULL; one process"

    def prepare(self) -> None:
        self.database = f"sqlite:///{self.folder / 'dbos.sqlite'}"
        super().prepare()


class DbosOnPostgres(Dbos):
    name = "dbos-postgres"
    title = "DBOS, PostgreSQL"
    stack = bound = "postgres"
    durability = "PostgreSQL, fsync and synchronous_commit on; one process"

    def prepare(self) -> None:
        self.database = self.services.database("dbos")
        super().prepare()
