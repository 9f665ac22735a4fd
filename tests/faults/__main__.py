"""`make faults`: break things on purpose, then look whether anything was lost or done twice.

python -m tests.faults [--profile standard|smoke] [--stack embedded,fleet,rabbitmq] [--only NAME,F5] [--seed N]
python -m tests.faults --profile soak --minutes 240 --stack fleet
"""

import argparse
import os
import random
import shlex
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import NoReturn

from tests.bench import page
from tests.faults import world
from tests.faults.judge import Verdict
from tests.faults.profiles import PROFILES, SOAK_MINUTES, STACKS, Playable, soak
from tests.faults.report import BROKE_OFF, Line, Report
from tests.faults.world import StackName

SHOWN_CHARACTERS = 100_000  # of what broke a scenario off: one that is stuck tells of all that lives
PAGE = page.CHECKOUT / "docs" / "faults.md"


def main(arguments: list[str]) -> int:
    """0: no violation."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__.splitlines()[0])
    parser.add_argument("--profile", choices=sorted([*PROFILES, "soak"]), default="standard")
    parser.add_argument("--stack", default=",".join(STACKS), help="of " + ", ".join(STACKS))
    parser.add_argument("--only", default="", help="scenarios by name or by fault, comma-separated")
    parser.add_argument("--seed", type=int, help="a random one if left out; it is printed")
    parser.add_argument("--minutes", type=float, help="begin no scenario after so long; of a soak: its length (240)")
    parser.add_argument("--page", action="store_true", help="write the table into docs/faults.md")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _leave)  # so that the children are ended then, too
    seed = random.SystemRandom().randrange(100_000) if options.seed is None else options.seed
    print(f"profile {options.profile}, seed {seed}", flush=True)
    report = Report()
    is_soak = options.profile == "soak"
    stop_at = float("inf") if is_soak or options.minutes is None else time.monotonic() + options.minutes * 60
    began = time.monotonic()
    for stack in options.stack.split(","):
        found = soak(options.minutes or SOAK_MINUTES) if is_soak else PROFILES[options.profile](stack)
        chosen = [each for each in found if _is_wanted(each, options.only)]
        if chosen:
            run_stack(stack, chosen, seed, report, stop_at)
    report.show()
    told = _told(arguments, seed, time.monotonic() - began)
    print(f"\n{report.markdown(told)}", flush=True)
    if options.page:
        page.write(report.markdown(told), "soak" if is_soak else "figures", PAGE)
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
    broke_off = False
    with tempfile.TemporaryDirectory(prefix="flowforge-faults-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL may run as another user, and has to get through to its own folder
        try:
            with world.running(stack, folder) as found:
                for scenario in chosen:
                    if broke_off:
                        report.not_tested.append(f"{stack}: {scenario.name}, as one before it broke off")
                    elif time.monotonic() < stop_at:
                        broke_off = not _play(found, scenario, seed, report)
                    else:
                        report.not_tested.append(f"{stack}: {scenario.name}, for lack of time")
                report.tally += found.tally
        except world.CannotHave as reason:
            _tell_untested(report, f"{stack}: {reason}")


def _play(found: world.World, scenario: Playable, seed: int, report: Report) -> bool:
    """False: it did not come to its end, so that nothing can be said of what would follow on this world."""
    began, complete = time.monotonic(), True
    try:
        verdict = scenario.run(found, seed)
    except world.CannotHave as reason:
        _tell_untested(report, f"{found.stack}: {scenario.name}: {reason}")
        return True
    except Exception as error:  # what the others have found must not go with it
        where = "".join(traceback.format_tb(error.__traceback__)[-3:])
        told = f"{BROKE_OFF}: {type(error).__name__}: {str(error)[:SHOWN_CHARACTERS]}\n{where}"
        verdict, complete = Verdict(violations=[told]), False
    seconds = time.monotonic() - began
    report.add(Line(stack=found.stack, name=scenario.name, faults=scenario.faults, seconds=seconds, verdict=verdict))
    return complete


def _tell_untested(report: Report, what: str) -> None:
    report.not_tested.append(what)
    print(f"\n!!! NOT TESTED: {what}\n", flush=True)


def _told(arguments: Sequence[str], seed: int, seconds: float) -> str:
    """When, where, and how to do it again."""
    command = shlex.join(each for each in arguments if each != "--page")
    again = "" if "--seed" in arguments else f" --seed {seed}"
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return (
        f"{datetime.now(UTC):%d %B %Y}, {os.cpu_count()} processors, load {load} at the end, "
        f"{seconds / 60:.1f} minutes: "
        f"`python -m tests.faults {command}{again}`"
    )


def _leave(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def _is_wanted(scenario: Playable, only: str) -> bool:
    wanted = [each.strip() for each in only.split(",") if each.strip()]
    return not wanted or any(each == scenario.name or each in scenario.faults.split() for each in wanted)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
