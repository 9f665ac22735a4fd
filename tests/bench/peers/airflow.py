"""Airflow: scheduler, API server and DAG processor on PostgreSQL; LocalExecutor, a process a task."""

import contextlib
import os
import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.bench.client import Connection
from tests.bench.peers.asking import APPS
from tests.bench.peers.environment import Recipe, python_of, versions
from tests.bench.processes import Processes, environment, free_port, processes, until, wait_for
from tests.bench.services import Services
from tests.bench.systems import Driver, Reading, Sizes, System, timed_spread

LOOK_SECONDS = 0.05
RUN_SECONDS = 300.0
PARALLEL = 2  # tasks at a time: one a processor
DAGS = 4


class Driving(Driver):
    def __init__(self, port: int, token: str, alive: Processes, start_seconds: float) -> None:
        super().__init__(alive, start_seconds)
        self.port, self.token = port, token
        self.caller = self.connect()

    def connect(self) -> Connection:
        return Connection(self.port, {"Authorization": f"Bearer {self.token}"})

    def chain(self, steps: int) -> float:
        return self._complete(f"chain{steps}", {})

    def fan(self, width: int) -> float:
        return self._complete("fan", {"width": width})

    def many(self, runs: int, steps: int) -> float:
        began = time.perf_counter()
        _, ids = timed_spread(runs, self.connect, lambda caller: _trigger(caller, f"chain{steps}", {}))
        self._wait(f"chain{steps}", ids)
        return time.perf_counter() - began

    def reading(self) -> Reading:
        run = self.caller.call("GET", "/api/v2/dags/chain1/dagRuns?limit=1")["dag_runs"][0]["dag_run_id"]
        one = f"/api/v2/dags/chain1/dagRuns/{run.replace('+', '%2B')}"
        return Reading(
            connect=self.connect,
            one=lambda caller: caller.call("GET", one),
            fifty=lambda caller: caller.call("GET", "/api/v2/dags/~/dagRuns?limit=50"),
        )

    def _complete(self, dag: str, conf: Mapping[str, Any]) -> float:
        began = time.perf_counter()
        self._wait(dag, [_trigger(self.caller, dag, conf)])
        return time.perf_counter() - began

    def _wait(self, dag: str, ids: list[str]) -> None:
        left = list(ids)
        deadline = time.monotonic() + RUN_SECONDS
        while left:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{len(left)} runs of {dag} did not end within {RUN_SECONDS:.0f} s")
            path = f"/api/v2/dags/{dag}/dagRuns/{left[0].replace('+', '%2B')}"
            state = self.caller.call("GET", path)["state"]
            if state == "failed":
                raise RuntimeError(f"a run of {dag} failed")
            if state == "success":
                left.pop(0)
            else:
                time.sleep(LOOK_SECONDS)


class Airflow(System):
    name = environment = "airflow"
    title = "Airflow, PostgreSQL"
    recipe = Recipe(python=("apache-airflow==3.3.2", "asyncpg==0.32.0", "psycopg2-binary==2.9.13"))
    stack = bound = "postgres"
    durability = "PostgreSQL, fsync and synchronous_commit on; three services, two tasks at a time"
    driven = "HTTP, looked at every 50 ms"
    sizes = Sizes(chains=1, runs=6, width=30, singles=3, reads=200, settle=8.0, warm_up=False)
    rounds = 1

    def __init__(self, folder: Path, services: Services) -> None:
        super().__init__(folder, services)
        self.port = free_port()
        self.binary = python_of("airflow").with_name("airflow")
        url = f"http://127.0.0.1:{self.port}"
        self.variables = environment(
            AIRFLOW_HOME=folder,
            AIRFLOW__CORE__DAGS_FOLDER=APPS / "dags",
            AIRFLOW__CORE__LOAD_EXAMPLES="False",
            AIRFLOW__CORE__EXECUTOR="LocalExecutor",
            AIRFLOW__CORE__PARALLELISM=PARALLEL,
            AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS="True",
            AIRFLOW__CORE__EXECUTION_API_SERVER_URL=f"{url}/execution/",
            AIRFLOW__API__HOST="127.0.0.1",
            AIRFLOW__API__PORT=self.port,
            AIRFLOW__API_AUTH__JWT_SECRET=secrets.token_urlsafe(64),
            AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT=free_port(),
            AIRFLOW__LOGGING__LOGGING_LEVEL="WARNING",
            AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT=free_port(),
            PATH=f"{self.binary.parent}{os.pathsep}{os.environ['PATH']}",
        )

    @classmethod
    def version(cls) -> str:
        return versions("airflow", "apache-airflow")

    def prepare(self) -> None:
        database = self.services.database("airflow").replace("postgresql://", "postgresql+psycopg2://")
        self.variables["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = database
        with (self.folder / "log").open("ab") as log:
            subprocess.run(
                [self.binary, "db", "migrate"], env=self.variables, stdout=log, stderr=log, check=True, timeout=120
            )
        super().prepare()

    @contextlib.contextmanager
    def running(self) -> Iterator[Driver]:
        with processes(self.folder / "log") as alive:
            began = time.perf_counter()
            for service in ("api-server", "scheduler", "dag-processor"):
                alive.start([self.binary, service], self.variables, self.folder)
            wait_for(f"http://127.0.0.1:{self.port}/api/v2/monitor/health", alive)
            seconds = time.perf_counter() - began
            with contextlib.closing(Connection(self.port)) as anyone:
                token = anyone.call("GET", "/auth/token")["access_token"]
            driver = Driving(self.port, token, alive, seconds)
            with contextlib.closing(driver.caller):
                until(lambda: _known(driver.caller) >= DAGS, alive, 60.0, "Airflow does not find its graphs")
                yield driver


def _trigger(caller: Connection, dag: str, conf: Mapping[str, Any]) -> str:
    body = {"logical_date": None, "conf": conf}
    return str(caller.call("POST", f"/api/v2/dags/{dag}/dagRuns", body)["dag_run_id"])


def _known(caller: Connection) -> int:
    return int(caller.call("GET", "/api/v2/dags")["total_entries"])
