"""n8n: one node process on PostgreSQL, workflows started by webhooks. An execution is saved once, at its end."""

import contextlib
import http.cookiejar
import itertools
import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.bench.client import Connection
from tests.bench.peers.environment import Recipe, node_modules_of
from tests.bench.processes import Processes, environment, free_port, processes, until, wait_for
from tests.bench.services import Services
from tests.bench.systems import Driver, Reading, Sizes, System, timed_spread

VERSION = "1.123.81"
LENGTHS = (1, 5, 40)
HOOK = "hook"  # a webhook alone, answered at once
FIB = "const fib = n => n < 2 ? n : fib(n - 1) + fib(n - 2); return [{json: {value: fib(10)}}];"
OWNER = {"email": "bench@example.com", "firstName": "Bench", "lastName": "Mark", "password": "Bench-mark-123"}


class Driving(Driver):
    def __init__(self, port: int, cookie: str, alive: Processes, start_seconds: float) -> None:
        super().__init__(alive, start_seconds)
        self.port, self.cookie = port, cookie
        self.caller = self.connect()

    def connect(self) -> Connection:
        return Connection(self.port, {"Cookie": self.cookie, "browser-id": "bench"})

    def chain(self, steps: int) -> float:
        began = time.perf_counter()
        _call(self.caller, steps)
        return time.perf_counter() - began

    def many(self, runs: int, steps: int) -> float:
        return timed_spread(runs, self.connect, lambda caller: _call(caller, steps))[0]

    def reading(self) -> Reading:
        run = self.caller.call("GET", "/rest/executions?limit=1")["data"]["results"][0]["id"]
        return Reading(
            connect=self.connect,
            one=lambda caller: caller.call("GET", f"/rest/executions/{run}"),
            fifty=lambda caller: caller.call("GET", "/rest/executions?limit=50"),
        )


class N8n(System):
    name = environment = "n8n"
    title = "n8n, PostgreSQL"
    # one dependency names an archive outside the registry; the native sandbox is not built: the older expressions run
    recipe = Recipe(node=(f"n8n@{VERSION}",), overrides={"xlsx": "0.18.5"}, node_scripts=False)
    stack = bound = "postgres"
    durability = "PostgreSQL, fsync and synchronous_commit on, but written once, at the end of a run; one process"
    driven = "webhook that answers at the end; reads by its own API"
    sizes = Sizes(runs=100, singles=15, reads=200, settle=3.0)
    rounds = 3

    def __init__(self, folder: Path, services: Services) -> None:
        super().__init__(folder, services)
        self.port = free_port()
        self.command = ["node", str(node_modules_of("n8n") / "n8n" / "bin" / "n8n")]
        self.cookie = ""

    @classmethod
    def version(cls) -> str:
        return f"n8n {VERSION}, task runners off"

    def prepare(self) -> None:
        database = urlsplit(self.services.database("n8n"))
        self.variables = _environment(self.folder, self.port, str(database.port), database.path[1:])
        with self.running() as driver:
            self.cookie = _owner(self.port, driver.processes)
        flows = self.folder / "flows.json"
        chains = [_workflow(f"chain{length}", length, "lastNode") for length in LENGTHS]
        flows.write_text(json.dumps([*chains, _workflow(HOOK, 0, "onReceived")]))
        self._manage("import:workflow", "--input", str(flows))
        self._manage("update:workflow", "--all", "--active=true")

    @contextlib.contextmanager
    def running(self) -> Iterator[Driver]:
        with processes(self.folder / "log") as alive:
            began = time.perf_counter()
            alive.start([*self.command, "start"], self.variables, self.folder)
            wait_for(f"http://127.0.0.1:{self.port}/healthz/readiness", alive)
            driver = Driving(self.port, self.cookie, alive, time.perf_counter() - began)
            with contextlib.closing(driver.caller):
                if self.cookie:
                    until(lambda: _is_mounted(driver.caller), alive, 60.0, "n8n does not mount its webhooks")
                yield driver

    def _manage(self, *arguments: str) -> None:
        with (self.folder / "log").open("ab") as log:
            subprocess.run(
                [*self.command, *arguments], env=self.variables, stdout=log, stderr=log, check=True, timeout=120
            )


def _environment(folder: Path, port: int, database_port: str, database: str) -> dict[str, str]:
    return environment(
        N8N_USER_FOLDER=folder,
        N8N_PORT=port,
        N8N_LISTEN_ADDRESS="127.0.0.1",
        N8N_DIAGNOSTICS_ENABLED="false",
        N8N_VERSION_NOTIFICATIONS_ENABLED="false",
        N8N_TEMPLATES_ENABLED="false",
        N8N_PERSONALIZATION_ENABLED="false",
        N8N_SECURE_COOKIE="false",
        N8N_RUNNERS_ENABLED="false",
        N8N_EXPRESSION_ENGINE="legacy",
        N8N_LOG_LEVEL="warn",
        EXECUTIONS_DATA_SAVE_ON_SUCCESS="all",
        DB_TYPE="postgresdb",
        DB_POSTGRESDB_HOST="127.0.0.1",
        DB_POSTGRESDB_PORT=database_port,
        DB_POSTGRESDB_USER="postgres",
        DB_POSTGRESDB_PASSWORD="trusted",
        DB_POSTGRESDB_DATABASE=database,
    )


def _workflow(name: str, length: int, answers: str) -> Mapping[str, Any]:
    """A chain behind a webhook. `answers`: `lastNode`, when all is done; `onReceived`, at once."""
    hook = {"path": name, "httpMethod": "POST", "responseMode": answers, "options": {}}
    nodes = [_node("Webhook", "webhook", 2, hook) | {"webhookId": name}]
    nodes += [_node(f"S{place}", "code", 2, {"jsCode": FIB}) for place in range(length)]
    names = [node["name"] for node in nodes]
    links = {
        one: {"main": [[{"node": next_one, "type": "main", "index": 0}]]} for one, next_one in itertools.pairwise(names)
    }
    settings = {"executionOrder": "v1"}
    return {
        "id": name,
        "name": name,
        "nodes": nodes,
        "connections": links,
        "active": True,
        "settings": settings,
        "versionId": name,
    }


def _node(name: str, kind: str, version: int, parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "type": f"n8n-nodes-base.{kind}",
        "typeVersion": version,
        "position": [0, 0],
        "parameters": parameters,
    }


def _call(caller: Connection, steps: int) -> None:
    if caller.call("POST", f"/webhook/chain{steps}", {}) != {"value": 55}:
        raise RuntimeError("the webhook gave something else")


def _is_mounted(caller: Connection) -> bool:
    """Ready comes before the webhooks are there."""
    try:
        _call(caller, 1)
        caller.call("POST", f"/webhook/{HOOK}", {})
    except RuntimeError:
        return False
    return True


def _owner(port: int, alive: Processes) -> str:
    """Set up the first user: the session of its own API, as a cookie."""
    jar = http.cookiejar.CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/rest/owner/setup",
        json.dumps(OWNER).encode(),
        {"Content-Type": "application/json", "browser-id": "bench"},
    )

    def attempt() -> bool:
        with contextlib.suppress(OSError), opener.open(request, timeout=30):
            return True
        return False

    until(attempt, alive, 60.0, "n8n does not set up its owner")
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar)
