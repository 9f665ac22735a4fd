"""What a step of a served project reaches of the server: its environment, memory, database and keys."""

import os
from textwrap import dedent
from typing import Any

import pytest

from flowforge.steps.levels import LEVELS
from tests.bench.client import Client
from tests.processes.workflows import run_of
from tests.support.isolation import available
from tests.support.service import Site, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

SECRET = "canary-in-the-environment-of-the-server"
SPY = dedent(
    """
    import ctypes, os, signal

    def tried(what):
        try:
            return what()
        except OSError as error:
            return type(error).__name__

    def read(path, place=0):
        with open(path, "rb") as file:
            file.seek(place)
            return "read %d" % len(file.read(4096))

    def main(server, home):
        others = [pid for pid in os.listdir("/proc") if pid.isdigit()]
        environments = []
        for pid in others:
            try:
                environments.append(open(f"/proc/{pid}/environ", "rb").read())
            except OSError:
                pass
        return {
            "environ": tried(lambda: read(f"/proc/{server}/environ")),
            "memory": tried(lambda: read(f"/proc/{server}/mem", 4096)),
            "ptrace": ctypes.CDLL(None).ptrace(16, server, 0, 0),
            "secrets": sum(b"canary" + b"-in-the" in found for found in environments),
            "database": tried(lambda: read(f"{home}/flowforge.sqlite3")),
            "access": tried(lambda: read(f"{home}/access.json")),
            "scratch": len(tried(lambda: os.listdir(f"{home}/scratch"))),
            "signal": str(tried(lambda: os.kill(server, 0))),
        }
    """
)


def spied(place: Site, level: str) -> tuple[dict[str, Any], Any]:
    """What a step found out, and the health answer of the server beside it."""
    process = place.serve("up", "--quiet", FLOWFORGE_ISOLATION=level, FLOWFORGE_SECRET_KEYS=SECRET * 2)
    client: Client = place.client()
    client.allow("python")
    config = {"code": SPY, "inputs": {"server": process.pid, "home": str(place.home)}}
    workflow = client.create(
        f"spy {level}", {"nodes": [{"id": "spy", "type": "python", "config": config}], "edges": []}
    )
    run = client.start(workflow)["id"]
    until(lambda: run_of(client, run)["status"] in ("completed", "failed"), 40, "it has looked round")
    [step] = run_of(client, run)["steps"]
    health = client.call("GET", "/v1/monitoring/health")["data"]
    assert process.end() == 0, process.printed
    assert step["status"] == "completed", step
    return step["output"], health


@pytest.mark.parametrize("level", LEVELS)
def test_it_works(place: Site, level: str) -> None:
    available(level)
    found, health = spied(place, level)
    hidden = level != "limits"
    assert health["isolation"] == {"level": level, "levels": {level: 1}}
    assert {part["name"]: part["status"] for part in health["components"]}["Workers"] == "HEALTHY"
    assert found["environ"] in ("PermissionError", "FileNotFoundError")
    assert found["memory"] in ("PermissionError", "FileNotFoundError")
    assert (found["ptrace"], found["secrets"]) == (-1, 0)
    # what docs/isolation.md says of the lowest level: it is the worker's user, and reads what that may read
    assert found["database"] == ("FileNotFoundError" if hidden else "read 4096")
    assert (found["access"] == "FileNotFoundError") is hidden
    assert found["signal"] == ("ProcessLookupError" if hidden else "None")
    if hidden:
        assert found["scratch"] == 1  # its own


def test_it_rejects_a_level_that_is_not_to_be_had(place: Site) -> None:
    child = place.run("up", "--quiet", FLOWFORGE_ISOLATION="jail")
    assert child.ended(30) != 0
    assert "FLOWFORGE_ISOLATION" in child.printed
    assert os.path.exists(place.home)
