"""What can be seen while a run is under way, and how soon its end is known."""

import statistics
import time
import uuid
from datetime import datetime
from pathlib import Path

import pytest

from tests.bench.client import Client
from tests.processes.workflows import LISTENER, chain, delay, event_names, logged, python, run_of, transform
from tests.support.invariants import read
from tests.support.service import Site, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]


def listener(folder: Path) -> dict[str, object]:
    node = python("only", LISTENER)
    node["config"]["inputs"] = {"folder": str(folder), "password": "correct horse"}
    return chain(node)


def test_it_works(client: Client, tmp_path: Path) -> None:
    run = client.start(client.create("listener", listener(tmp_path)))["id"]
    for number in range(3):
        (tmp_path / str(number)).touch()
        lines = [f"line {n}" for n in range(number + 1)]
        until(lambda expected=lines: logged(client, run) == expected, 10, f"line {number} is in the log")
        found = run_of(client, run)
        [step] = found["steps"]
        assert (found["status"], step["status"]) == ("running", "running")
        assert step["inputs"]["inputs"] == {"folder": str(tmp_path), "password": "***"}
    (tmp_path / "end").touch()
    until(lambda: run_of(client, run)["status"] == "completed", 10, "it ends")
    assert run_of(client, run)["outputs"] == {"only": 3}
    assert event_names(client, run).count("step.log") == 3


def test_a_caller_who_waits_is_told_at_once(client: Client) -> None:
    workflow = client.create("short", chain(delay("pause", "200ms"), transform("only")))
    client.start(workflow, wait="10s")
    late = []
    for _ in range(5):
        run = client.start(workflow, wait="10s")
        late.append(time.time() - datetime.fromisoformat(run["finished_at"]).timestamp())
        assert run["status"] == "completed"
    print(f"\nfrom the end to the answer: {statistics.median(late) * 1000:.1f} ms")
    assert statistics.median(late) < 0.25


def test_an_idle_server_starts_at_once(client: Client) -> None:
    workflow = client.create("one step", chain(transform("only")))
    samples = []
    for _ in range(33):
        began = time.perf_counter()
        run = client.start(workflow, wait="10s")
        samples.append((time.perf_counter() - began) * 1000)
        assert run["status"] == "completed"
    p50 = statistics.median(samples[3:])
    print(f"\ntrigger to completed, one transform: p50 {p50:.1f} ms of {len(samples) - 3}")
    assert p50 < 500


def test_steps_that_wait_for_a_worker_cost_nothing(service: Site, client: Client) -> None:
    """More processes than there are workers for: nobody turns in circles meanwhile."""
    nodes = [python(f"s{n}", "import time\ndef main():\n    time.sleep(0.7)\n") for n in range(14)]
    queue = {"nodes": nodes, "edges": [], "config": {"max_concurrency": len(nodes)}}
    run = client.start(client.create("queue", queue))["id"]
    until(lambda: run_of(client, run)["status"] == "completed", 40, "it ends")
    [story] = [story for story in read(service.database) if story.run.id == uuid.UUID(run).hex]
    print(f"\na run of {len(nodes)} processes was claimed {story.run.lease_token} times")
    assert story.run.lease_token < 3 * len(nodes)
