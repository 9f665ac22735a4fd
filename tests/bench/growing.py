"""The ways in which an installation grows, each measured on a database of its own."""

import argparse
import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import psutil

from tests.bench.peers.environment import CHECKOUT
from tests.bench.report import number
from tests.bench.results import Measured, Results, busy_percent
from tests.bench.seed import Seed, seed_of
from tests.bench.stacks import Driving, FlowForge, chain, fan, node

FAILED_SHARE = 25  # one stored run in so many has failed
Figures = dict[str, list[float]]


@dataclass(kw_only=True)
class Growing:
    """One stack while it grows."""

    system: FlowForge
    options: argparse.Namespace
    results: Results

    def measure(self, part: str, size: int, work: Callable[[], Figures]) -> None:
        """Unless it is there already."""
        workload = f"{part} {size}"
        if self.results.has(0, self.system.name, workload):
            return
        others = busy_percent()
        figures = work()
        self.results.add(Measured(round=0, system=self.system.name, workload=workload, figures=figures, others=others))
        shown = "   ".join(f"{name} {number(statistics.median(values))}" for name, values in figures.items())
        print(f"  {self.system.title:<22} {part:<8} {size:>9,}   {shown}", flush=True)


# --- steps of a run -----------------------------------------------------------------------------------------------


def steps(growing: Growing) -> None:
    """One run: a chain, and a fan, of ever more effect steps."""
    with growing.system.running() as driver:
        for shape, make in (("chain", partial(chain, "fib")), ("fan", fan)):
            for length in growing.options.lengths:
                most = min(length, 9_999)  # a definition has at most 10,000 nodes, the join is one
                growing.measure(shape, length, partial(_run_of, driver, make, most))


def _run_of(driver: Driving, make: Callable[[int], Mapping[str, object]], length: int) -> Figures:
    workflow = driver.client.create(f"{length} steps", make(length))
    _drive(driver, workflow)
    wall, used = [], []
    for _ in range(max(1, min(10, 3_000 // length))):
        with _costs() as cost:
            _drive(driver, workflow)
        wall.append(cost["wall"] / length * 1000)
        used.append(cost["cpu"] / length * 1000)
    return {"ms a step": wall, "CPU ms a step": used}


# --- stored runs --------------------------------------------------------------------------------------------------


def stored(growing: Growing) -> None:
    """Starting, reading, listing and sweeping with ever more runs stored."""
    seed = seed_of(growing.system, max(growing.options.stored))
    with growing.system.running() as driver:
        done, failed = _templates(driver)
    there = 0
    for count in growing.options.stored:
        _grow(seed, done, failed, there, count)
        there = count
        with growing.system.running() as driver:
            growing.measure("stored", count, partial(_with_stored, growing, driver, done))


def _templates(driver: Driving) -> tuple[str, str]:
    """A run of two effects that completed, and one that failed."""
    ends_well = driver.client.create("stored", chain("fib", 2))
    fails = {
        "nodes": [node("fib", "s0"), node("fib", "s1", n="{{ inputs.missing }}")],
        "edges": [{"source": "s0", "target": "s1"}],
    }
    ends_badly = driver.client.create("stored, failed", fails)
    runs = [driver.client.start(workflow, wait="60s") for workflow in (ends_well, ends_badly)]
    if [run["status"] for run in runs] != ["completed", "failed"]:
        raise RuntimeError(f"the runs to copy are {[run['status'] for run in runs]}")
    return runs[0]["id"], runs[1]["id"]


def _grow(seed: Seed, done: str, failed: str, there: int, count: int) -> None:
    began = time.monotonic()
    size = 50_000  # copies a transaction
    for first in range(there, count, size):
        last = min(first + size, count) - 1
        middle = last - (last - first) // FAILED_SHARE
        seed.copy(done, first, middle)
        if middle < last:
            seed.copy(failed, middle + 1, last)
    seed.finish()
    print(f"  {count:,} runs are stored ({time.monotonic() - began:.0f} s)", flush=True)


def _with_stored(growing: Growing, driver: Driving, done: str) -> Figures:
    client = driver.client
    workflow = client.create("one step", chain("fib", 1))
    calls: dict[str, Callable[[], object]] = {
        "start and drive": lambda: driver.complete(workflow),
        "one": lambda: client.call("GET", f"/v1/runs/{done}"),
        "list": lambda: client.call("GET", "/v1/runs?limit=50"),
        "failed": lambda: client.call("GET", "/v1/runs?limit=50&status=failed"),
        "of workflow": lambda: client.call("GET", f"/v1/runs?limit=50&workflow_id={workflow}"),
        "waiting": lambda: client.call("GET", "/v1/runs?limit=50&status=waiting"),
    }
    figures: Figures = {}
    for name, call in calls.items():
        call()
        wall, used = _repeated(call, growing.options.calls)
        figures |= {f"{name} ms": wall, f"{name} CPU ms": used}
    return figures | {"sweep ms": [_sweep(growing.system)]}


def _repeated(call: Callable[[], object], calls: int) -> tuple[list[float], list[float]]:
    """Wall time of each; processor time of all, shared out: the clock of the system is too coarse for one."""
    wall = []
    with _costs() as cost:
        for _ in range(calls):
            began = time.perf_counter()
            call()
            wall.append((time.perf_counter() - began) * 1000)
    return wall, [cost["cpu"] / calls * 1000]


def _sweep(system: FlowForge) -> float:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.sweep"],
        cwd=CHECKOUT,
        env=system.variables,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return float(done.stdout.split()[-1])


# --- memory -------------------------------------------------------------------------------------------------------


def memory(growing: Growing) -> None:
    """The processes' memory while they do ever more steps, in runs of a thousand."""
    width, together = 1_000, 10
    with growing.system.running() as driver:
        workflow = driver.client.create("a thousand", fan(width - 1))
        done = 0
        while done < growing.options.steps:
            _batch(driver, workflow, together)
            done += together * width
            growing.measure("memory", done, lambda: {"MB": [driver.processes.memory_mb()]})


def _batch(driver: Driving, workflow: str, runs: int) -> None:
    before = driver.client.ended(workflow)
    items = [{"inputs": {}} for _ in range(runs)]
    driver.client.call("POST", f"/v1/workflows/{workflow}/runs:batch", {"items": items})
    _until_ended(driver, workflow, before + runs)


# --- waiting runs -------------------------------------------------------------------------------------------------


def waiting(growing: Growing) -> None:
    """Processor time of an idle installation: with nothing to do, and with runs that wait for tomorrow."""
    most = growing.options.waiting
    seed = seed_of(growing.system, most)
    with growing.system.running() as driver:
        growing.measure("waiting", 0, partial(_idle, growing.options))
        workflow = driver.client.create("tomorrow", chain("delay", 1, duration="30d"))
        run = driver.client.start(workflow)["id"]
        _until(lambda: driver.client.call("GET", f"/v1/runs/{run}")["data"]["status"] == "waiting", "a run waits")
    seed.copy(run, 0, most - 1)
    seed.finish()
    with growing.system.running():
        growing.measure("waiting", most, partial(_idle, growing.options))


def _idle(options: argparse.Namespace) -> Figures:
    time.sleep(options.rest)
    samples = []
    for _ in range(3):
        with _costs() as cost:
            time.sleep(options.idle)
        samples.append(cost["cpu"] / cost["wall"] * 60)
    return {"CPU s a minute": samples}


# --- what they share ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _costs() -> Iterator[dict[str, float]]:
    """Seconds of the clock, and of processors: those of all processes below this one."""
    cost: dict[str, float] = {}
    began, used = time.perf_counter(), _cpu_seconds()
    yield cost
    cost.update(wall=time.perf_counter() - began, cpu=_cpu_seconds() - used)


def _cpu_seconds() -> float:
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:4])  # its own, and that of children which have ended
    return total


def _drive(driver: Driving, workflow: str) -> None:
    """One run to its end, however long it takes; nobody looks at it in the first minute."""
    run = driver.client.start(workflow, wait="60s")
    path = f"/v1/runs/{run['id']}"
    if run["status"] != "completed":
        _until(lambda: driver.client.call("GET", path)["data"]["status"] == "completed", f"run {run['id']} ends")


def _until_ended(driver: Driving, workflow: str, count: int) -> None:
    _until(lambda: driver.client.ended(workflow) >= count, "the runs have ended")


def _until(check: Callable[[], bool], what: str, seconds: float = 600.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.1)


PARTS: Mapping[str, Callable[[Growing], None]] = {
    "steps": steps,
    "stored": stored,
    "memory": memory,
    "waiting": waiting,
}
