"""The one table: medians, how many times as fast FlowForge is, and how far each is from the physical limit."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.bench import limits
from tests.bench.results import Results
from tests.bench.systems import System

ENOUGH = 5  # medians of fewer samples are marked


@dataclass(frozen=True, kw_only=True)
class Column:
    title: str
    figure: str  # of the samples
    best: Callable[[float, float], bool]  # whether the first is better than the second
    quantile: float = 0.5
    bound: Callable[[float, float], float] | None = None  # of commits a second by one client, by several


def _less(one: float, other: float) -> bool:
    return one < other


def _more(one: float, other: float) -> bool:
    return one > other


# The bound: one durable commit a step, and nothing else. Who commits several steps at once may go beyond it.
COLUMNS = (
    Column(title="W1 ms", figure="W1 ms", best=_less, bound=lambda one, _: 40_000 / one),
    Column(title="W1 pure ms", figure="W1 pure ms", best=_less),
    Column(title="W2 runs/s", figure="W2 runs/s", best=_more, bound=lambda _, several: several / 5),
    Column(title="W2 batch runs/s", figure="W2 batch runs/s", best=_more, bound=lambda _, several: several / 5),
    Column(title="W3 steps/s", figure="W3 steps/s", best=_more, bound=lambda _, several: several),
    Column(title="W4 p50 ms", figure="W4 ms", best=_less, bound=lambda one, _: 1000 / one),
    Column(title="W4 p99 ms", figure="W4 ms", best=_less, quantile=0.99),
    Column(title="W5 one /s", figure="W5 one /s", best=_more),
    Column(title="W5 list /s", figure="W5 list /s", best=_more),
    Column(title="W6 start s", figure="W6 start s", best=_less),
    Column(title="W6 MB", figure="W6 memory MB", best=_less),
)
OURS = ("flowforge-sqlite", "flowforge-postgres")

Cells = dict[str, float]  # by column title


def table(results: Results, systems: Sequence[type[System]]) -> str:
    """In Markdown, its columns aligned, so that it reads in a terminal too."""
    shown = [system for system in systems if results.samples(system.name)]
    bounds = _bounds(results)
    ours = {name: _cells(results, name) for name in OURS}
    columns = [column for column in COLUMNS if any(column.title in _cells(results, s.name) for s in shown)]
    rows = [["", *(column.title for column in columns)]]
    for kind, label in (("sqlite", "limit, SQLite"), ("postgres", "limit, PostgreSQL"), ("file", "limit, fdatasync")):
        if kind in bounds:
            rows.append([label, *(number(bounds[kind].get(column.title)) for column in columns)])
    for system in shown:
        cells = _cells(results, system.name)
        rows.append([f"**{system.title}**", *(_cell(results, system.name, column) for column in columns)])
        if system.bound in bounds:
            rows.append(["· times the limit", *(_ratio(column, bounds[system.bound], cells) for column in columns)])
        if system.name not in OURS:
            rows.append(["· FlowForge is faster by", *(_against(column, cells, ours) for column in columns)])
    return markdown(rows)


def details(results: Results, systems: Sequence[type[System]]) -> str:
    """What belongs to the table: machine, quietness, versions, durability, what is missing."""
    others = [m.others for m in results.measured]
    names = {m.system for m in results.measured}
    lines = [
        f"Measured {results.began}; {results.machine}.",
        f"Processor time used by others meanwhile: median {statistics.median(others):.0f} %, "
        f"at most {max(others):.0f} % of one processor."
        if others
        else "",
        "",
        "| system | version | durability | driven by |",
        "|---|---|---|---|",
    ]
    for system in systems:
        if system.name in names:
            version = results.versions.get(system.name, "")
            lines.append(f"| {system.title} | {version} | {system.durability} | {system.driven} |")
    notes = [f"- {name}: {note}" for name, note in results.notes.items()]
    return "\n".join([*lines, "", *notes]).strip()


LEGEND = """\
Medians; `(xN)`: of N samples, fewer than five. W4 p99 is over all calls of all rounds.
"FlowForge is faster by": on SQLite / on PostgreSQL; below 1 the peer is ahead; W6: by how much it is smaller.
The limits are of this machine in the same rounds, for one durable commit a step: `limit, SQLite` commits with
synchronous=FULL, `limit, PostgreSQL` commits by one client (W1, W4) or eight (W2, W3), `limit, fdatasync` 8 KiB
overwritten and synced. Who commits several steps at once may go beyond the limit (below 1)."""


def _cells(results: Results, system: str) -> Cells:
    samples = results.samples(system)
    return {
        column.title: _quantile(samples[column.figure], column.quantile)
        for column in COLUMNS
        if samples.get(column.figure)
    }


def _bounds(results: Results) -> Mapping[str, Cells]:
    samples = results.samples(limits.NAME)
    rates = {figure: statistics.median(values) for figure, values in samples.items()}
    figures = {
        "sqlite": (limits.SQLITE, limits.SQLITE),
        "postgres": (limits.POSTGRES, limits.POSTGRES_TOGETHER),
        "file": (limits.FDATASYNC, limits.FDATASYNC),
    }
    pairs = {kind: (rates[one], rates[several]) for kind, (one, several) in figures.items() if one in rates}
    return {
        kind: {column.title: column.bound(*pair) for column in COLUMNS if column.bound} for kind, pair in pairs.items()
    }


def _cell(results: Results, system: str, column: Column) -> str:
    values = results.samples(system).get(column.figure)
    if not values:
        return "–"
    few = f" (x{len(values)})" if len(values) < ENOUGH else ""
    return f"{number(_quantile(values, column.quantile))}{few}"


def _ratio(column: Column, bound: Cells, cells: Cells) -> str:
    """How many times as long as the limit it takes."""
    if column.title not in bound or column.title not in cells:
        return ""
    ratio = cells[column.title] / bound[column.title]
    return _times(ratio if column.best is _less else 1 / ratio)


def _against(column: Column, cells: Cells, ours: Mapping[str, Cells]) -> str:
    if column.title not in cells:
        return ""
    found = [
        _times(
            cells[column.title] / own[column.title] if column.best is _less else own[column.title] / cells[column.title]
        )
        for own in ours.values()
        if column.title in own
    ]
    return " / ".join(found)


def _quantile(values: Sequence[float], share: float) -> float:
    if share == 0.5:
        return statistics.median(values)
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def number(value: float | None) -> str:
    """Three digits are what a measurement is worth."""
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _times(value: float) -> str:
    return f"{value:,.0f}×" if value >= 10 else f"{value:.1f}×"


def markdown(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = [f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |" for row in rows]
    rule = f"|{'|'.join('-' * (width + 2) for width in widths)}|"
    return "\n".join([lines[0], rule, *lines[1:]])
