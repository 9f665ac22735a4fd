"""A package with step types of its own, really installed, in a real server: docs/how-to-add-a-step-type.md."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench.client import Client
from tests.support.service import CHECKOUT, Site

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

PACKAGE = CHECKOUT / "tests" / "packages" / "my-steps"
NODES: list[dict[str, Any]] = [
    {"id": "arrived", "type": "wait_for_file", "config": {"path": "in/{{ inputs.day }}.csv", "every": 0.05}},
    {"id": "tell", "type": "shout", "config": {"text": "{{ steps.arrived.output.size }} bytes"}},
]
DEFINITION = {
    "nodes": NODES,
    "edges": [{"source": "arrived", "target": "tell"}],
    "output": {"told": "{{ steps.tell.output }}"},
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the package was built and installed into, without any registry of packages."""
    folder = tmp_path_factory.mktemp("installed")
    # uv's own build backend is in uv itself: nothing has to be fetched to build the package
    command = [Path(sys.executable).with_name("uv"), "pip", "install", "--offline", "--no-deps", "--no-cache"]
    command += ["--python", sys.executable, "--target", folder, PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def caller(place: Site, installed: Path) -> Client:
    place.serve("up", "--quiet", PYTHONPATH=os.fspath(installed))
    client = place.client()
    client.allow("shout", "wait_for_file")
    return client


def test_it_works(place: Site, caller: Client) -> None:
    workflow = caller.create("own types", DEFINITION)
    run = caller.start(workflow, inputs={"day": "monday"})
    folder = place.home / "files" / "in"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "monday.csv").write_text("a,b\n1,2\n")
    caller.wait_until_all_ended(workflow, 1)
    ended = caller.call("GET", f"/v1/runs/{run['id']}")["data"]
    assert ended["outputs"] == {"told": "8 BYTES"}
    assert [line["message"] for line in ended["steps"][0]["logs"]] == ["waiting for in/monday.csv"]


def test_they_are_listed_with_their_schemas(caller: Client) -> None:
    listed = {row["name"]: row for row in caller.call("GET", "/v1/step-types?limit=100")["data"]}
    assert listed["shout"]["config_schema"]["properties"] == {"text": {"type": "string", "title": "Text"}}
    assert listed["shout"]["output_schema"] == {"type": "string"}
    assert listed["wait_for_file"]["kind"] == "effect"
    assert listed["wait_for_file"]["allowed"] is True


def test_it_rejects_what_their_checks_refuse(caller: Client) -> None:
    definition = {"nodes": [NODES[0] | {"config": {"path": "/etc/passwd"}}, NODES[1] | {"config": {}}], "edges": []}
    found = caller.call("POST", "/v1/workflows:validate", {"definition": definition})["data"]
    assert {(error["pointer"], error["code"]) for error in found["errors"]} >= {
        ("/definition/nodes/0/config/path", "absolute_path"),
        ("/definition/nodes/1/config/text", "required"),
    }
