"""One table of figures for all that was run: to be read at the terminal, and as Markdown for docs/faults.md."""

from collections import Counter
from dataclasses import dataclass, field

from tests.faults.judge import SHOWN, Verdict

BROKE_OFF = "it broke off"  # is told whole
HISTORIES = 3  # of violated runs, that are printed
_TOTALS = ("runs", "steps", "effects", "effects done again", "steps lost and taken over", "steps handed back")
_HEADINGS = ("ok/no/unsure", "runs", "steps", "lost/agn", "pois", "recov. s", "viol")
_WIDTHS = (12, 6, 6, 9, 4, 11, 4)


@dataclass(kw_only=True)
class Line:
    """One scenario on one stack."""

    stack: str
    name: str
    faults: str
    seconds: float
    verdict: Verdict

    @property
    def cells(self) -> list[str]:
        """What stands under the headings."""
        counts, found = self.verdict.counts, self.verdict.recoveries
        return [
            f"{counts['told ok']:,}/{counts['told refused']:,}/{counts['told unknown']:,}",
            f"{counts['runs']:,}",
            f"{counts['steps']:,}",
            f"{counts['steps lost and taken over']:,}/{counts['effects done again']:,}",
            str(counts["poisoned runs"]),
            f"{_share(found, 0.5):.1f}/{_share(found, 0.99):.1f}" if found else "-",
            str(len(self.verdict.violations)),
        ]


@dataclass
class Report:
    lines: list[Line] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)  # faults that were done, of all stacks
    not_tested: list[str] = field(default_factory=list)

    def add(self, line: Line) -> None:
        self.lines.append(line)
        found = line.verdict.violations
        print(f"  {line.name:<28} {_aligned(line.cells)}", flush=True)
        for each in found[:SHOWN]:
            print(f"    VIOLATION {each if each.startswith(BROKE_OFF) else each[:1500]}", flush=True)
        for each in line.verdict.histories[:HISTORIES]:
            print(each, flush=True)

    @property
    def violations(self) -> int:
        return sum(len(line.verdict.violations) for line in self.lines)

    @property
    def totals(self) -> Counter[str]:
        return sum((line.verdict.counts for line in self.lines), Counter())

    @property
    def took(self) -> str:
        """p50 / p99 of the takeovers of all scenarios; "" if there was none."""
        found = sorted(each for line in self.lines for each in line.verdict.recoveries)
        return f"{_share(found, 0.5):.1f} s / {_share(found, 0.99):.1f} s" if found else ""

    def show(self) -> None:
        print(f"\n{'stack':<9} {'scenario':<28} {'faults':<14} {'s':>4}  {_aligned(_HEADINGS)}")
        for line in self.lines:
            told = f"{line.stack:<9} {line.name:<28} {line.faults:<14} {line.seconds:>4.0f}"
            print(f"{told}  {_aligned(line.cells)}")
        print()
        for name, count in [*sorted(self.tally.items()), *((name, self.totals[name]) for name in _TOTALS)]:
            print(f"{name:<32} {count:>8,}")
        if self.took:
            print(f"{'taken over after, p50 / p99':<32} {self.took}")
        for each in self.not_tested:
            print(f"!!! NOT TESTED: {each}")
        print(f"{'violations':<32} {self.violations:>8,}", flush=True)

    def markdown(self, told: str) -> str:
        """The same as a table, under `told`: when, where and by which command."""
        headings = ["stack", "scenario", "faults", "s", *_HEADINGS]
        rows = [[line.stack, line.name, line.faults, f"{line.seconds:.0f}", *line.cells] for line in self.lines]
        table = [_row(headings), "|---" * len(headings) + "|", *map(_row, rows)]
        struck = ", ".join(f"{name} {count:,}" for name, count in sorted(self.tally.items()) if count)
        totals = self.totals
        summary = [f"{len(self.lines)} scenarios, " + ", ".join(f"{totals[name]:,} {name}" for name in _TOTALS)]
        summary += [f"taken over after {self.took} (p50 / p99)"] if self.took else []
        summary += [f"{self.violations:,} violations"]
        parts = [told, "\n".join(table), "; ".join(summary) + ".", f"What was done: {struck}."]
        parts += [f"Not tested: {each}." for each in self.not_tested]
        return "\n\n".join(parts)


def _aligned(cells: "list[str] | tuple[str, ...]") -> str:
    return " ".join(f"{cell:>{width}}" for cell, width in zip(cells, _WIDTHS, strict=True))


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _share(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
