"""Stop means stop: cancel, timeout and pause of what lives, measured from the call."""

import threading
import time
from typing import Any

import pytest

from tests.bench.client import Client
from tests.processes.workflows import DEAF, STUBBORN, chain, event_names, logged, python, run_of, statuses, work
from tests.support.http_stub import HttpStub
from tests.support.service import Site, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

PROMISED_SECONDS = 2.0

COMMANDS = {
    "python": python("only", STUBBORN),
    "generic": {
        "id": "only",
        "type": "generic",
        "config": {"command": "sh", "args": ["-c", f'setsid python3 -c "{DEAF}" & python3 -c "{DEAF}"']},
    },
}


def start_deaf(client: Client, name: str, **more: Any) -> str:
    """Start a run whose only step, and a daemon of its, ignore SIGTERM; returns once both say so."""
    run: str = client.start(client.create(name, chain(COMMANDS[name] | more)))["id"]
    until(lambda: logged(client, run) == ["deaf", "deaf"], 20, "the step runs, and its daemon")
    return run


@pytest.mark.parametrize("name", COMMANDS)
def test_it_works(service: Site, client: Client, name: str) -> None:
    run = start_deaf(client, name)
    assert len(service.step_processes()) >= 2
    began = time.monotonic()
    client.call("POST", f"/v1/runs/{run}:cancel")
    until(lambda: run_of(client, run)["status"] == "cancelled" and not service.step_processes(), 10, "all is gone")
    seconds = time.monotonic() - began
    print(f"\ncancel of a stubborn {name} step and its daemon: {seconds:.2f} s")
    assert seconds < PROMISED_SECONDS
    [step] = run_of(client, run)["steps"]
    assert step["status"] == "cancelled"
    until(lambda: not service.scratch_folders(), 5, "what it wrote is gone")


def test_a_timeout_ends_processes_too(service: Site, client: Client) -> None:
    run = start_deaf(client, "python", timeout="1s")
    until(lambda: run_of(client, run)["status"] == "failed" and not service.step_processes(), 20, "all is gone")
    found = run_of(client, run)
    [step] = found["steps"]
    assert step["error"]["code"] == "timeout"
    assert found["error"]["details"]["code"] == "timeout"
    print(f"\na timeout of 1 s ended the step after {step['duration_ms']} ms")
    assert 1000 <= step["duration_ms"] < 1000 + 1000 * PROMISED_SECONDS
    until(lambda: not service.scratch_folders(), 5, "what it wrote is gone")


def test_a_call_that_hangs_is_cut_off(client: Client, stub: HttpStub) -> None:
    release = threading.Event()
    stub.reply(release=release)
    try:
        call = {"id": "only", "type": "http", "config": {"url": stub.url}}
        run = client.start(client.create("hanging", chain(call)))["id"]
        assert stub.arrived.wait(20)
        began = time.monotonic()
        client.call("POST", f"/v1/runs/{run}:cancel")
        until(lambda: run_of(client, run)["status"] == "cancelled", 10, "the run is cancelled")
        seconds = time.monotonic() - began
    finally:
        release.set()
    print(f"\ncancel of a call that hangs: {seconds:.2f} s")
    assert seconds < PROMISED_SECONDS


def test_a_pause_begins_nothing(client: Client) -> None:
    run = client.start(client.create("paused", chain(work("first", 0.5), work("second"))))["id"]
    until(lambda: run_of(client, run)["status"] == "running", 10, "it runs")
    client.call("POST", f"/v1/runs/{run}:pause")
    until(lambda: statuses(client, run).get("first") == "completed", 10, "the step that runs is finished")
    until(lambda: run_of(client, run)["status"] == "paused", 10, "it is paused")
    assert statuses(client, run).get("second", "pending") == "pending"
    client.call("POST", f"/v1/runs/{run}:resume")
    until(lambda: run_of(client, run)["status"] == "completed", 10, "it goes on")
    events = event_names(client, run)
    second = len(events) - 1 - events[::-1].index("step.started")
    assert events.index("run.paused") < events.index("run.resumed") < second
