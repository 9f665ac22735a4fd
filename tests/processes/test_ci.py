"""ci steps in a served project: a private repository from beginning to end, and what is left when one is ended."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.bench.client import Client
from tests.processes.workflows import run_of
from tests.support import git_server
from tests.support.git_server import GitServer
from tests.support.service import Site, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

TOKEN = "canary-of-the-repository-1"
SENT = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with git_server.serve(tmp_path) as found:
        found.repository("private", {"file": "x"})
        found.require = f"Basic {SENT}"
        yield found


@pytest.fixture
def caller(service: Site, client: Client) -> Client:
    client.allow("ci")
    if not client.call("GET", "/v1/credentials")["data"]:
        body = {"name": "repository", "type": "token", "data": {"token": TOKEN}, "hosts": ["127.0.0.1"]}
        client.call("POST", "/v1/credentials", body)
    return client


def started(caller: Client, server: GitServer, name: str, command: str, **fields: Any) -> str:
    config = {"repo_url": server.url("private"), "credential": "repository", "command": command, **fields}
    workflow = caller.create(name, {"nodes": [{"id": "build", "type": "ci", "config": config}], "edges": []})
    return str(caller.start(workflow)["id"])


def test_it_works(service: Site, caller: Client, server: GitServer) -> None:
    environment = {"SECRET": "{{ credentials.repository.token }}"}
    command = "echo building with $SECRET; mkdir out; cat file > out/result"
    run_id = started(caller, server, "build", command, environment=environment, artifacts=["out"])
    run = until(lambda: _ended(caller, run_id), 60, "the run ends")
    assert run["status"] == "completed", run
    step = run["steps"][0]
    (artifact,) = step["output"]["artifacts"]
    assert (artifact["path"], Path(urlsplit(artifact["url"]).path).read_text()) == ("out/result", "x")
    assert step["output"]["stdout"] == "building with ***\n"
    assert "building with ***" in [line["message"] for line in step["logs"]]
    for file in service.home.rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        assert TOKEN.encode() not in content, file
        assert SENT.encode() not in content, file


def test_cancelling_leaves_nothing_behind(service: Site, caller: Client, server: GitServer) -> None:
    command = "trap '' TERM; setsid sleep 600 & echo busy; while :; do sleep 600; done"
    run_id = started(caller, server, "endless", command)
    until(lambda: "busy" in str(run_of(caller, run_id)["steps"]), 60, "it runs")
    caller.call("POST", f"/v1/runs/{run_id}:cancel")
    run = until(lambda: _ended(caller, run_id), 30, "the run ends")
    assert run["status"] == "cancelled"
    until(lambda: not service.step_processes() and not service.scratch_folders(), 10, "nothing is left of it")


def _ended(caller: Client, run_id: str) -> Any:
    run = run_of(caller, run_id)
    return run if run["finished_at"] else None
