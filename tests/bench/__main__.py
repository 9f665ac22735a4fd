"""`make bench`: FlowForge's figures on this machine. Figures are printed, never asserted.

python -m tests.bench [--stack sqlite|postgres] [--only W1,W4] [--repeats 5]
"""

import argparse
import os
import platform
import statistics
from collections import defaultdict

from tests.bench.stacks import STACKS, Stack
from tests.bench.workloads import WORKLOADS


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="FlowForge's figures on this machine.")
    parser.add_argument("--stack", choices=sorted(STACKS), action="append", help="default: both")
    parser.add_argument("--only", default=",".join(WORKLOADS), help=f"of {', '.join(WORKLOADS)}")
    parser.add_argument("--repeats", type=int, default=5, help="the median of so many is shown")
    options = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} processors, Python {platform.python_version()}")
    for name in options.stack or sorted(STACKS, reverse=True):
        with STACKS[name]() as stack:
            _measure(stack, options.only.split(","), options.repeats)


def _measure(stack: Stack, names: list[str], repeats: int) -> None:
    print(f"\n{stack.name}")
    for name in names:
        workload = WORKLOADS[name]
        samples: dict[str, list[float]] = defaultdict(list)
        for _ in range(1 if name == "W6" else repeats):
            for figure, value in workload(stack).items():
                samples[figure].append(value)
        shown = "   ".join(f"{figure} {statistics.median(values):,.1f}" for figure, values in samples.items())
        print(f"  {name:<9} {shown}", flush=True)


if __name__ == "__main__":
    main()
