"""Real graphs on a real stack: every task once and in order, how many steps a second, and how near to the least time.

Each graph is run twice. With tasks that do next to nothing: steps a second. With tasks that sleep as long as they took
when they were traced, scaled so that the least possible time is a few seconds: how much longer than that it took. The
least time is the greater of the critical path and of all work shared out among the threads that run steps.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from tests.bench import page
from tests.bench.client import Client
from tests.bench.processes import run_as_command
from tests.bench.report import markdown, number
from tests.bench.results import busy_percent, machine
from tests.bench.services import services
from tests.bench.stacks import STACKS, Driving, set_up
from tests.support import wfcommons

SLOTS = 16  # FLOWFORGE_DEFAULT_THREADS, its default
RUN_SECONDS = 300.0


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """In seconds; no schedule is faster."""

    path: float  # along the edges, with as many threads as it takes
    work: float  # of all tasks, shared out among the threads

    @property
    def least(self) -> float:
        return max(self.path, self.work)


def bounds(document: Mapping[str, Any], seconds: Mapping[str, float], slots: int = SLOTS) -> Bounds:
    before: dict[str, set[str]] = {node["id"]: set() for node in document["nodes"]}
    for edge in document["edges"]:
        before[edge["target"]].add(edge["source"])
    ends: dict[str, float] = {}
    for node in TopologicalSorter(before).static_order():
        ends[node] = seconds[node] + max((ends[parent] for parent in before[node]), default=0.0)
    return Bounds(path=max(ends.values()), work=sum(seconds.values()) / slots)


def sleeping(path: Path, seconds: float) -> tuple[dict[str, Any], Bounds]:
    """The graph with tasks that sleep, scaled so that it takes at least `seconds`."""
    document = wfcommons.definition(path, "sleep")
    traced = wfcommons.runtimes(path)
    scale = seconds / bounds(document, traced).least
    scaled = {node: took * scale for node, took in traced.items()}
    for node in document["nodes"]:
        node["config"] = {"seconds": scaled[node["id"]]}
    return document, bounds(document, scaled)


def main(arguments: Sequence[str]) -> None:
    options = _parser().parse_args(arguments)
    files = options.files or wfcommons.instances()
    if not files:
        raise SystemExit("no traces here: name some files, or their folder in WFINSTANCES")
    rows = [["graph", "tasks", "on", "s", "steps/s", "asleep: s", "÷ critical path", "÷ least time"]]
    others = busy_percent()
    for name in [options.stack] if options.stack else STACKS:
        with services() as found, set_up(name, found).running() as driver:
            for path in files:
                rows.append([path.stem, *_measure(driver, path, STACKS[name].title.split(", ")[1], options.seconds)])
                print("  " + "   ".join(rows[-1]), flush=True)
    text = f"{machine()}. Processor time used by others: {others:.0f} % of one processor.\n\n{markdown(rows)}"
    print(f"\n{text}")
    if options.page:
        page.write(text, "corpus")


def _measure(driver: Driving, path: Path, stack: str, seconds: float) -> list[str]:
    quick = wfcommons.definition(path, "fib", n=10)
    took = _run(driver.client, path.stem, quick)
    document, least = sleeping(path, seconds)
    asleep = _run(driver.client, f"{path.stem}, asleep", document)
    count = len(quick["nodes"])
    ratios = (f"{asleep / least.path:.2f}", f"{asleep / least.least:.2f}")
    return [str(count), stack, number(took), number(count / took), number(asleep), *ratios]


def _run(client: Client, name: str, document: Mapping[str, Any]) -> float:
    """Seconds from the call to the end; raises unless every task was done once and in order."""
    workflow = client.create(name, document)
    began = time.perf_counter()
    run = client.start(workflow, wait="60s")
    while run["status"] in ("pending", "running") and time.perf_counter() - began < RUN_SECONDS:
        time.sleep(0.05)
        run = client.call("GET", f"/v1/runs/{run['id']}")["data"]
    seconds = time.perf_counter() - began
    order = _order(client, run["id"])
    tasks = [node["id"] for node in document["nodes"]]
    if run["status"] != "completed" or sorted(order) != sorted(tasks):
        raise SystemExit(f"{name}: {run['status']}, {len(order)} of {len(tasks)} tasks")
    place = {node: at for at, node in enumerate(order)}
    if any(place[edge["source"]] > place[edge["target"]] for edge in document["edges"]):
        raise SystemExit(f"{name}: a task was done before one that it depends on")
    return seconds


def _order(client: Client, run_id: str) -> list[str]:
    """The tasks as they were completed, from the run's history."""
    found: list[str] = []
    after = 0
    while True:
        events: list[Any] = client.call("GET", f"/v1/runs/{run_id}/events?after={after}&limit=1000")["data"]
        found.extend(event["data"]["node_id"] for event in events if event["event"] == "step.completed")
        if not events:
            return found
        after = events[-1]["seq"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.corpus", description=__doc__)
    parser.add_argument("--stack", choices=sorted(STACKS), help="default: both")
    parser.add_argument("--seconds", type=float, default=6.0, help="least time of a graph that sleeps (default: 6)")
    parser.add_argument("--page", action="store_true", help="write the table into docs/benchmarks.md")
    parser.add_argument("files", nargs="*", type=Path, help="WfFormat traces; default: all that are found")
    return parser


if __name__ == "__main__":
    run_as_command(lambda: main(sys.argv[1:]))
