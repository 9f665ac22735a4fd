"""Whether what it costs stays the same as it grows: with the steps of a run, the runs that are stored, those that wait.

Wall time and, beside it, processor time of everything that was started (the database included), which other work on
the machine disturbs less. Each table ends with the ratio of its last line to the least above it.
"""

import argparse
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.bench import page
from tests.bench.growing import PARTS, Growing
from tests.bench.processes import run_as_command
from tests.bench.report import markdown, number
from tests.bench.results import Results, merge, open_results
from tests.bench.services import services
from tests.bench.stacks import STACKS, FlowForge, set_up

TABLES = {
    "chain": "steps of one run, in a chain",
    "fan": "steps of one run, side by side",
    "stored": "stored runs",
    "memory": "steps done",
    "waiting": "runs that wait",
}


def report(results: Results) -> str:
    """A table for each way to grow and each stack."""
    found = [
        _table(results, system, part)
        for part in TABLES
        for system in STACKS.values()
        if any(m.system == system.name and m.workload.split()[0] == part for m in results.measured)
    ]
    others = [m.others for m in results.measured]
    quiet = (
        f"Processor time used by others: median {statistics.median(others):.0f} % of one processor." if others else ""
    )
    return "\n\n".join([f"Measured {results.began}; {results.machine}. {quiet}", *found])


def _table(results: Results, system: type[FlowForge], part: str) -> str:
    rows = sorted(
        (int(m.workload.split()[1]), {name: statistics.median(values) for name, values in m.figures.items()})
        for m in results.measured
        if m.system == system.name and m.workload.split()[0] == part
    )
    columns = list(rows[0][1])
    lines = [[f"{TABLES[part]} ({system.title.split(', ')[1]})", *columns]]
    lines += [[f"{size:,}", *(number(figures.get(column)) for column in columns)] for size, figures in rows]
    if len(rows) > 1:
        lines.append(["last ÷ least", *(_growth([figures[column] for _, figures in rows]) for column in columns)])
    return markdown(lines)


def _growth(values: Sequence[float]) -> str:
    """The last against the least before it: what costs much to begin with may not hide what grows."""
    least = min(values[:-1])
    return f"{values[-1] / least:.2f}×" if least > 0 else ""


def main(arguments: Sequence[str]) -> None:
    options = _parser().parse_args(arguments)
    if options.merge:
        results = merge(options.merge)
    else:
        results = open_results(options.out)
        print(results.machine, flush=True)
        for name in [options.stack] if options.stack else STACKS:
            for part in options.only:
                _measure(name, part, options, results)
    print(f"\n{report(results)}")
    if options.page:
        page.write(report(results), "growth")


def _measure(stack: str, part: str, options: argparse.Namespace, results: Results) -> None:
    """Each part on a database of its own; a fault of one does not end the others."""
    with services() as found:
        try:
            PARTS[part](Growing(system=set_up(stack, found), options=options, results=results))
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            print(f"\n!!! {stack}, {part}: {error}\n", flush=True)
            results.notes[f"{stack}, {part}"] = str(error)
            results.save()


def _numbers(text: str) -> list[int]:
    return sorted(int(size.replace("_", "")) for size in text.split(","))


def _parts(text: str) -> list[str]:
    asked = text.split(",")
    if unknown := [part for part in asked if part not in PARTS]:
        raise argparse.ArgumentTypeError(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return asked


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.growth", description=__doc__)
    parser.add_argument("--stack", choices=sorted(STACKS), help="default: both")
    parser.add_argument("--only", type=_parts, default=list(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--lengths", type=_numbers, default="10,100,1000,10000", help="steps: of one run")
    parser.add_argument("--stored", type=_numbers, default="1000,10000,100000,1000000", help="stored: runs")
    parser.add_argument("--calls", type=int, default=100, help="stored: of each kind")
    parser.add_argument("--steps", type=int, default=100_000, help="memory: done in all")
    parser.add_argument("--waiting", type=int, default=100_000, help="waiting: runs")
    parser.add_argument("--idle", type=float, default=10.0, help="waiting: seconds of each of three looks")
    parser.add_argument("--rest", type=float, default=5.0, help="waiting: seconds before the first, to have started")
    parser.add_argument("--out", type=Path, help="keep every figure in this file; go on with it when it is there")
    parser.add_argument("--merge", type=Path, nargs="+", help="measure nothing: the tables of these files")
    parser.add_argument("--page", action="store_true", help="write the tables into docs/benchmarks.md")
    return parser


if __name__ == "__main__":
    run_as_command(lambda: main(sys.argv[1:]))
