"""One table of figures for all that was run."""

from collections import Counter
from dataclasses import dataclass, field

from tests.faults.judge import SHOWN, Verdict


@dataclass(kw_only=True)
class Line:
    """One scenario on one stack."""

    stack: str
    name: str
    faults: str
    seconds: float
    verdict: Verdict


@dataclass
class Report:
    lines: list[Line] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)  # faults that were done, of all stacks
    not_tested: list[str] = field(default_factory=list)

    def add(self, line: Line) -> None:
        self.lines.append(line)
        found = line.verdict.violations
        print(f"  {line.name:<28} {self._cells(line)}", flush=True)
        for each in found[:SHOWN]:
            print(f"    VIOLATION {each[:1500]}", flush=True)
        for each in line.verdict.histories[:HISTORIES]:
            print(each, flush=True)

    @property
    def violations(self) -> int:
        return sum(len(line.verdict.violations) for line in self.lines)

    def show(self) -> None:
        print(f"\n{'stack':<9} {'scenario':<28} {'faults':<14} {'s':>4}  {_HEADINGS}")
        for line in self.lines:
            print(f"{line.stack:<9} {line.name:<28} {line.faults:<14} {line.seconds:>4.0f}  {self._cells(line)}")
        print()
        for name, count in sorted(self.tally.items()):
            print(f"{name:<32} {count:>8,}")
        totals: Counter[str] = sum((line.verdict.counts for line in self.lines), Counter())
        for name in (
            "runs",
            "steps",
            "effects",
            "effects done again",
            "steps lost and taken over",
            "steps handed back",
        ):
            print(f"{name:<32} {totals[name]:>8,}")
        recoveries = sorted(each for line in self.lines for each in line.verdict.recoveries)
        if recoveries:
            p50, p99 = _share(recoveries, 0.5), _share(recoveries, 0.99)
            print(f"{'taken over after, p50 / p99':<32} {p50:>4.1f} s / {p99:.1f} s")
        for each in self.not_tested:
            print(f"!!! NOT TESTED: {each}")
        print(f"{'violations':<32} {self.violations:>8,}", flush=True)

    def _cells(self, line: Line) -> str:
        counts, found = line.verdict.counts, line.verdict.recoveries
        told = f"{counts['told ok']}/{counts['told refused']}/{counts['told unknown']}"
        took = f"{_share(found, 0.5):.1f}/{_share(found, 0.99):.1f}" if found else "-"
        again = f"{counts['steps lost and taken over']}/{counts['effects done again']}"
        return (
            f"{told:>12} {counts['runs']:>6} {counts['steps']:>6} {again:>9} {counts['poisoned runs']:>4} {took:>11} "
            f"{len(line.verdict.violations):>4}"
        )


HISTORIES = 3  # of violated runs, that are printed
_TOTALS = ("runs", "steps", "effects", "effects done again", "steps lost and taken over", "steps handed back")
_HEADINGS = f"{'ok/no/unsure':>12} {'runs':>6} {'steps':>6} {'lost/agn':>9} {'pois':>4} {'recov. s':>11} {'viol':>4}"


def _share(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
