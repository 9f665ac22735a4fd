"""Rows from csv and ndjson to parquet: an `etl` step beside the same job in bare polars and pandas.

`python -m tests.bench.etl` (`--rows 5000000 --rounds 3 --fresh`). Jobs: `totals`, csv -> `normalize` (which finds
nothing nested in a csv) and sums by city; `copy`, csv -> parquet, every row; `nested`, a fifth as many rows of ndjson
with objects in objects -> `normalize`. The step's seconds are those of the whole step, the starting of its process and
all its guards included; those of the others are of the job alone, after their imports. Memory is the largest sum of
what the processes of one side have for themselves (Pss), looked at every 50 ms. What was measured is kept under
`.bench/etl`: called again, it goes on where it was.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from flowforge.steps.base import Completed
from flowforge.steps.etl.step import Etl
from tests.bench.peers.environment import CannotInstall, Recipe, home, install, python_of
from tests.support.steps import Attempt

NAME = "etl"
RECIPE = Recipe(python=("polars==2.1.0", "pandas==3.1.1", "pyarrow==26.0.1"))
SYSTEMS = ("flowforge", "polars", "pandas")
LOOK_SECONDS = 0.05
JOB_SECONDS = 60.0  # whoever needs longer has not done it
BUDGET_SECONDS = 330.0
MEMORY_BYTES = 1024**3  # FLOWFORGE_DATA_MEMORY_BYTES
FRAMES = Path(__file__).parent / "peers" / "apps" / "frames.py"
TOTALS = {"sql": "SELECT city, count(*) AS orders, sum(price) AS total FROM source GROUP BY city"}
TRANSFORMATIONS: dict[str, list[Any]] = {"totals": ["normalize", TOTALS], "copy": [], "nested": ["normalize"]}
CSV = """SELECT i AS id, i % 100000 AS customer, 'city ' || (i * 7919) % 5000 AS city,
    round(random() * 1000, 2) AS price, 1 + i % 9 AS quantity, DATE '2026-01-01' + (i % 365)::INTEGER AS day,
    md5(i::VARCHAR) AS note FROM range({rows}) t(i)"""
NESTED = """SELECT i AS id, round(random() * 1000, 2) AS price,
    {{'name': 'customer ' || i % 1000, 'address': {{'city': 'city ' || i % 5000, 'zip': i % 99999}}}} AS customer
    FROM range({rows}) t(i)"""


@dataclass(frozen=True, kw_only=True)
class Measured:
    job: str
    system: str
    round: int
    seconds: float
    peak_bytes: int

    @property
    def key(self) -> tuple[str, str, int]:
        return self.job, self.system, self.round


class Watch:
    """The memory of a process and all that descends from it."""

    def __init__(self, pid: int) -> None:
        self.peak = 0
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def end(self) -> int:
        self._over.set()
        self._thread.join()
        return self.peak

    def _look(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            self.peak = max(self.peak, sum(map(pss, family(self._pid))))


def pss(pid: int) -> int:
    """Bytes: its own, and its part of what it shares (proc_pid_smaps(5))."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def family(pid: int) -> Iterator[int]:
    yield pid
    try:
        children = [
            int(word)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for word in (task / "children").read_text().split()
        ]
    except OSError:
        return
    for child in children:
        yield from family(child)


def source_of(folder: Path, job: str, rows: int) -> Path:
    """Made once; the same for everybody."""
    nested = job == "nested"
    count = rows // 5 if nested else rows
    path = folder / "files" / f"{'nested' if nested else 'flat'}-{count}.{'ndjson' if nested else 'csv'}"
    if not path.exists():
        draft = path.with_suffix(".draft")
        options = "FORMAT json" if nested else "FORMAT csv, HEADER"
        duckdb.execute(f"COPY ({(NESTED if nested else CSV).format(rows=count)}) TO '{draft}' ({options})")
        draft.rename(path)
    return path


def command_of(system: str, job: str, source: Path, target: Path) -> list[str]:
    if system == "flowforge":
        return [sys.executable, "-m", "tests.bench.etl", "--one", job, str(source), str(target)]
    return [str(python_of(NAME)), str(FRAMES), system, job, str(source), str(target)]


def measure(folder: Path, job: str, system: str, number: int, rows: int) -> Measured:
    """Raises subprocess.SubprocessError where it does not come to its end."""
    source, target = source_of(folder, job, rows), folder / "files" / f"{system}-{job}.parquet"
    target.unlink(missing_ok=True)
    with subprocess.Popen(command_of(system, job, source, target), stdout=subprocess.PIPE, text=True) as process:
        watch = Watch(process.pid)
        try:
            output, _ = process.communicate(timeout=JOB_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        finally:
            peak = watch.end()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    seconds = json.loads(output.splitlines()[-1])["seconds"]
    return Measured(job=job, system=system, round=number, seconds=seconds, peak_bytes=peak)


def run_step(job: str, source: str, target: str) -> None:
    """In a process of its own: the job as a step."""
    folder = Path(source).parent.parent
    attempt = Attempt(
        home=folder, file_roots=[folder / "files"], data_memory_bytes=MEMORY_BYTES, max_data_bytes=8 * 1024**3
    )
    config = {"source_url": f"file://{source}", "target_url": f"file://{target}"}
    started = time.monotonic()
    outcome = attempt.run(Etl(), {**config, "transformation": TRANSFORMATIONS[job]})
    seconds = time.monotonic() - started
    if not isinstance(outcome, Completed):
        raise SystemExit(str(outcome))
    print(json.dumps({"seconds": seconds, "output": outcome.output}))


def differing(folder: Path, job: str) -> list[str]:
    """Systems whose result is not FlowForge's, by the number of its rows and, of `totals`, of what they count."""
    sums = "count(*), sum(orders)" if job == "totals" else "count(*), 0"
    paths = {system: folder / "files" / f"{system}-{job}.parquet" for system in SYSTEMS}
    found = {
        system: duckdb.sql(f"SELECT {sums} FROM '{path}'").fetchall() for system, path in paths.items() if path.exists()
    }
    return [system for system, value in found.items() if value != found.get("flowforge")]


def report(found: list[Measured], rows: int) -> str:
    lines = ["| job | rows | system | seconds | × polars | peak MiB |", "|---|---|---|---|---|---|"]
    for job in TRANSFORMATIONS:
        medians = {}
        for system in SYSTEMS:
            mine = [each for each in found if each.job == job and each.system == system]
            if mine:
                medians[system] = (
                    statistics.median(each.seconds for each in mine),
                    max(each.peak_bytes for each in mine) // 1024**2,
                )
        for system, (seconds, peak) in medians.items():
            ratio = f"{seconds / medians['polars'][0]:.2f}" if "polars" in medians else "–"
            count = rows // 5 if job == "nested" else rows
            lines.append(f"| {job} | {count} | {system} | {seconds:.2f} | {ratio} | {peak} |")
    return "\n".join(lines)


def kept(path: Path) -> list[Measured]:
    return [Measured(**each) for each in json.loads(path.read_text())] if path.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fresh", action="store_true", help="forget what was measured before")
    parser.add_argument("--one", nargs=3, metavar=("JOB", "SOURCE", "TARGET"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        run_step(*arguments.one)
        return
    folder = home() / NAME
    systems = list(SYSTEMS)
    try:
        install(NAME, RECIPE)
    except CannotInstall as error:
        print(f"polars and pandas cannot be had here: {error}")
        systems = ["flowforge"]
    (folder / "files").mkdir(parents=True, exist_ok=True)
    results = folder / f"results-{arguments.rows}.json"
    if arguments.fresh:
        results.unlink(missing_ok=True)
    found = kept(results)
    _measure_all(folder, systems, arguments.rows, arguments.rounds, found, results)
    print(report(found, arguments.rows))
    for job in TRANSFORMATIONS:
        for system in differing(folder, job):
            print(f"{system} has made something else of {job}")


def _measure_all(
    folder: Path, systems: list[str], rows: int, rounds: int, found: list[Measured], results: Path
) -> None:
    ends_at = time.monotonic() + BUDGET_SECONDS
    done = {each.key for each in found}
    for number in range(rounds):
        for job in TRANSFORMATIONS:
            for system in systems:
                if (job, system, number) in done:
                    continue
                if time.monotonic() > ends_at:
                    print("the time is up; call again to go on")
                    return
                try:
                    found.append(measure(folder, job, system, number, rows))
                except subprocess.SubprocessError as error:
                    print(f"{system} has not done {job}: {type(error).__name__}")
                    continue
                results.write_text(json.dumps([vars(each) for each in found]))
                print(f"round {number + 1}: {job} by {system}: {found[-1].seconds:.2f} s", flush=True)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowforge.settings")
    main()
