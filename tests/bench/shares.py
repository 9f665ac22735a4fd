"""Where the time goes: processor time of each process, for a run, a step or a call.

`python -m tests.bench.shares [--stack sqlite|postgres]`: a table for docs/benchmarks.md. Two processors give 2,000 ms a
second, the client's part among them: what all of them need for a unit bounds the rate, whatever waits for what.
"""

import argparse
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence

import psutil

from tests.bench.processes import run_as_command
from tests.bench.report import markdown, number
from tests.bench.services import services
from tests.bench.stacks import STACKS, Driving, set_up
from tests.bench.systems import timed_spread

REPEATS = 5
RUNS, STEPS, WIDTH, READS = 200, 5, 1_000, 1_000
PARTS = {"manage.py serve": "web", "manage.py up": "web", "manage.py work": "worker", "valkey": "Valkey"}

Workload = tuple[str, int, Callable[[Driving], object]]
"""What a unit is, how many of them, doing them."""

WORKLOADS: dict[str, Workload] = {
    "W2": ("run", RUNS, lambda driver: driver.many(RUNS, STEPS)),
    "W2 batch": ("run", RUNS, lambda driver: driver.batch(RUNS, STEPS)),
    "W3": ("step", WIDTH, lambda driver: driver.fan(WIDTH)),
    "W5 one": ("call", READS, lambda driver: timed_spread(READS, driver.connect, driver.reading().one)),
    "W5 list": ("call", READS, lambda driver: timed_spread(READS, driver.connect, driver.reading().fifty)),
}
COLUMNS = ("web", "worker", "PostgreSQL", "Valkey", "client")


def part_of(process: psutil.Process) -> str:
    """Whose time it is; the database's many processes are one."""
    if process.pid == os.getpid():
        return "client"
    command = " ".join(process.cmdline())
    found = next((part for name, part in PARTS.items() if name in command), "")
    return found or ("PostgreSQL" if "postgres" in command else "")


def used() -> Counter[str]:
    """Seconds of processors since each began, of this process and all below it."""
    found: Counter[str] = Counter()
    mine = psutil.Process()
    for process in [mine, *mine.children(recursive=True)]:
        try:
            times = process.cpu_times()
            own = times.user + times.system
            # what the database did for connections that are closed by now is its own parent's
            found[part_of(process)] += own if process.pid == os.getpid() else sum(times[:4])
        except psutil.NoSuchProcess:
            continue
    return found


def measured(driver: Driving, workload: Workload) -> list[str]:
    """A line: units a second, milliseconds of each part for one, and of all."""
    unit, count, work = workload
    work(driver)
    rates, shares = [], []
    for _ in range(REPEATS):
        before, began = used(), time.perf_counter()
        work(driver)
        rates.append(count / (time.perf_counter() - began))
        shares.append({part: (seconds - before[part]) / count * 1000 for part, seconds in used().items()})
    medians = {part: statistics.median(share.get(part, 0.0) for share in shares) for part in COLUMNS}
    cells = [f"{medians[part]:.2f}" if medians[part] >= 0.005 else "" for part in COLUMNS]
    return [unit, number(statistics.median(rates)), *cells, f"{sum(medians.values()):.2f}"]


def report(stacks: Sequence[str]) -> str:
    lines = [["", "unit", "a second", *(f"{part} ms" for part in COLUMNS), "together ms"]]
    for stack in stacks:
        with services() as found, set_up(stack, found).running() as driver:
            for name, workload in WORKLOADS.items():
                lines.append([f"{name} ({STACKS[stack].title.split(', ')[1]})", *measured(driver, workload)])
                print(*lines[-1], flush=True)
    return markdown(lines)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stack", choices=sorted(STACKS), action="append")
    options = parser.parse_args(arguments)
    print(f"\n{report(options.stack or list(STACKS))}")


if __name__ == "__main__":
    run_as_command(lambda: main(sys.argv[1:]))
