"""`make faults`: break things on purpose, then look whether anything was lost or done twice.

python -m tests.faults [--profile standard|smoke] [--stack embedded,fleet,rabbitmq] [--only NAME,F5] [--seed N]
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from tests.faults import world
from tests.faults.profiles import PROFILES, STACKS, Playable
from tests.faults.report import Line, Report
from tests.faults.world import StackName


def main(arguments: list[str]) -> int:
    """0: no violation."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__.splitlines()[0])
    parser.add_argument("--profile", choices=sorted(PROFILES), default="standard")
    parser.add_argument("--stack", default=",".join(STACKS), help="of " + ", ".join(STACKS))
    parser.add_argument("--only", default="", help="scenarios by name or by fault, comma-separated")
    parser.add_argument("--seed", type=int, help="a random one if left out; it is printed")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no scenario after so long")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _leave)  # so that the children are ended then, too
    seed = random.SystemRandom().randrange(100_000) if options.seed is None else options.seed
    print(f"profile {options.profile}, seed {seed}", flush=True)
    report = Report()
    stop_at = time.monotonic() + options.minutes * 60
    for stack in options.stack.split(","):
        chosen = [each for each in PROFILES[options.profile](stack) if _is_wanted(each, options.only)]
        if chosen:
            run_stack(stack, chosen, seed, report, stop_at)
    report.show()
    if report.violations:
        print(f'again: make faults ARGS="--profile {options.profile} --seed {seed} --stack … --only …"', flush=True)
    return 1 if report.violations or not report.lines else 0


def run_stack(
    stack: StackName,
    chosen: Sequence[Playable],
    seed: int,
    report: Report,
    stop_at: float = float("inf"),
) -> None:
    """All scenarios one after the other on one world; what cannot be had is told, not failed."""
    print(f"{stack}, seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="flowforge-faults-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL may run as another user, and has to get through to its own folder
        try:
            with world.running(stack, folder) as found:
                for scenario in chosen:
                    if time.monotonic() < stop_at:
                        report.add(_one(found, scenario, seed))
                    else:
                        report.not_tested.append(f"{stack}: {scenario.name}, for lack of time")
                report.tally += found.tally
        except world.CannotHave as reason:
            report.not_tested.append(f"{stack}: {reason}")
            print(f"\n!!! NOT TESTED: {stack}: {reason}\n", flush=True)


def _one(found: world.World, scenario: Playable, seed: int) -> Line:
    began = time.monotonic()
    verdict = scenario.run(found, seed)
    seconds = time.monotonic() - began
    return Line(stack=found.stack, name=scenario.name, faults=scenario.faults, seconds=seconds, verdict=verdict)


def _leave(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def _is_wanted(scenario: Playable, only: str) -> bool:
    wanted = [each.strip() for each in only.split(",") if each.strip()]
    return not wanted or any(each == scenario.name or each in scenario.faults.split() for each in wanted)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
