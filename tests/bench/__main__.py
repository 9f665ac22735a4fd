"""`make bench`: FlowForge and other engines, the same workloads in one run. Figures are printed, never asserted."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.bench import page
from tests.bench.peers import registry
from tests.bench.peers.environment import CannotInstall, install
from tests.bench.processes import run_as_command
from tests.bench.report import LEGEND, details, table
from tests.bench.results import Results, merge, open_results
from tests.bench.rounds import Rounds
from tests.bench.services import services
from tests.bench.stacks import STACKS, FlowForge
from tests.bench.systems import System
from tests.bench.workloads import WORKLOADS

EXAMPLES = """\
examples:
  make bench                                       everything, about 20 minutes
  make bench ARGS="--peers none"                   FlowForge alone, 3 minutes
  make bench ARGS="--peers none --stack sqlite --only W1,W4 --repeats 1"
  make bench ARGS="--peers dbos,restate --out figures.json"
                                                   kept after each workload; the same command goes on where it was
  make bench ARGS="--merge a.json b.json --page"   no measuring: the table of both, into docs/benchmarks.md

The environments of the peers are made once, in .bench or in FLOWFORGE_BENCH_HOME. Data and servers are in a temporary
folder (TMPDIR); it has to be on a disk, else nothing in it is durable.

See also: python -m tests.bench.growth --help, python -m tests.bench.corpus --help
"""


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    chosen = [*_ours(options.stack), *_theirs(options.peers, options.stack)]
    if options.install:
        return _install(chosen)
    if options.merge:
        results = merge(options.merge)
    else:
        results = open_results(options.out)
        _measure(results, chosen, options)
    _print(results)
    if options.page:
        page.write(_markdown(results))
    measured = {m.system for m in results.measured}
    return 0 if all(system.name in measured for system in chosen if issubclass(system, FlowForge)) else 1


def _measure(results: Results, chosen: Sequence[type[System]], options: argparse.Namespace) -> None:
    print(results.machine, flush=True)
    results.notes.clear()
    with services() as found:
        rounds = Rounds(
            results=results,
            services=found,
            workloads=options.only,
            repeats=options.repeats,
            budget=options.budget * 60,
        )
        rounds.prepare(chosen)
        rounds.measure()


def _install(chosen: Sequence[type[System]]) -> int:
    missing = 0
    for system in chosen:
        if system.recipe is None:
            continue
        try:
            install(system.environment, system.recipe)
            print(f"{system.title}: {system.version()}", flush=True)
        except CannotInstall as error:
            missing += 1
            print(f"\n!!! {system.title}: cannot be installed: {error}\n", flush=True)
    return 1 if missing else 0


def _print(results: Results) -> None:
    print(f"\n{table(results, _everyone())}\n\n{LEGEND}\n\n{details(results, _everyone())}", flush=True)


def _markdown(results: Results) -> str:
    return f"{details(results, _everyone())}\n\n{table(results, _everyone())}\n\n{LEGEND}"


def _everyone() -> list[type[System]]:
    return [*_ours(None), *registry.ALL]


def _ours(stack: str | None) -> list[type[System]]:
    return [STACKS[name] for name in ("sqlite", "postgres") if stack in (None, name)]


def _theirs(names: Sequence[str], stack: str | None) -> list[type[System]]:
    """The peers of the names (`dbos`, `dbos-sqlite`), on the given database where they have the choice."""
    return [
        system
        for system in registry.ALL
        if (names == ["all"] or system.name in names or system.environment in names)
        and (stack is None or system.stack in (None, stack))
    ]


def _workloads(text: str) -> list[str]:
    """`W1` is also `W1 pure`; in the order of the workloads."""
    asked = [name.strip() for name in text.split(",")]
    found = [name for name in WORKLOADS if name in asked or name.split()[0] in asked]
    if unknown := [name for name in asked if name not in {*WORKLOADS, *(known.split()[0] for known in WORKLOADS)}]:
        raise argparse.ArgumentTypeError(f"no such workload: {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")
    return found


def _peers(text: str) -> list[str]:
    asked = [name.strip() for name in text.split(",")]
    known = {"all", "none", *(system.name for system in registry.ALL), *(system.environment for system in registry.ALL)}
    if unknown := [name for name in asked if name not in known]:
        raise argparse.ArgumentTypeError(f"no such peer: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    return asked


def _parser() -> argparse.ArgumentParser:
    described = "\n".join(f"  {' '.join((work.__doc__ or '').split())}" for work in WORKLOADS.values())
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=f"FlowForge and other engines, on this machine, side by side.\n\n{described}",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--peers", type=_peers, default=["all"], help="all, none, or names: " + ", ".join(registry.NAMES)
    )
    parser.add_argument("--stack", choices=sorted(STACKS), help="only what runs on this database; default: both")
    parser.add_argument("--only", type=_workloads, default=list(WORKLOADS), help="workloads, such as W1,W4")
    parser.add_argument("--repeats", type=int, default=5, help="rounds; the median is shown (default: 5)")
    parser.add_argument(
        "--budget", type=float, default=6.0, help="minutes that one system may take in all (default: 6)"
    )
    parser.add_argument("--out", type=Path, help="keep every sample in this file; go on with it when it is there")
    parser.add_argument("--merge", type=Path, nargs="+", help="measure nothing: one table of these files")
    parser.add_argument("--install", action="store_true", help="measure nothing: make the peers' environments")
    parser.add_argument("--page", action="store_true", help="write the table into docs/benchmarks.md")
    return parser


if __name__ == "__main__":
    run_as_command(lambda: main(sys.argv[1:]))
