"""Run real graphs through the HTTP API of a real stack: every task once, in order, and how fast.

python -m tests.bench.corpus [--stack sqlite|postgres] [FILE …]      WfFormat traces: tests/support/wfcommons.py
"""

import argparse
import time
from pathlib import Path
from typing import Any

from tests.bench.client import Client
from tests.bench.services import services
from tests.bench.stacks import STACKS, running
from tests.support import wfcommons


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.corpus", description="Run real graphs.")
    parser.add_argument("--stack", choices=sorted(STACKS), default="sqlite")
    parser.add_argument("files", nargs="*", type=Path, help="default: all that are found")
    options = parser.parse_args()
    files = options.files or wfcommons.instances()
    if not files:
        raise SystemExit("no traces here: name some files, or their folder in WFINSTANCES")
    with services() as found, running(options.stack, found) as (system, driver):
        print(system.title)
        for path in files:
            print(f"  {path.stem:<45} {_run(driver.client, path)}", flush=True)


def _run(client: Client, path: Path) -> str:
    document = wfcommons.definition(path, "fib", n=10)
    workflow = client.create(path.stem, document)
    began = time.perf_counter()
    run = client.start(workflow, wait="60s")
    seconds = time.perf_counter() - began
    order = _order(client, run["id"])
    tasks = [node["id"] for node in document["nodes"]]
    if run["status"] != "completed" or sorted(order) != sorted(tasks):
        raise SystemExit(f"{path.name}: {run['status']}, {len(order)} of {len(tasks)} tasks")
    place = {node: at for at, node in enumerate(order)}
    if any(place[edge["source"]] > place[edge["target"]] for edge in document["edges"]):
        raise SystemExit(f"{path.name}: a task was done before one that it depends on")
    return f"{len(tasks):>5} tasks, each once and in order   {seconds:6.2f} s   {len(tasks) / seconds:7.0f} steps/s"


def _order(client: Client, run_id: str) -> list[str]:
    """The tasks as they were completed, from the run's history."""
    found: list[str] = []
    after = 0
    while True:
        page: list[Any] = client.call("GET", f"/v1/runs/{run_id}/events?after={after}&limit=1000")["data"]
        found.extend(event["data"]["node_id"] for event in page if event["event"] == "step.completed")
        if not page:
            return found
        after = page[-1]["seq"]


if __name__ == "__main__":
    main()
