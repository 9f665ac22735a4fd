"""Figures as they were measured: every sample by round, system and workload. Kept in a file, resumed, merged."""

import json
import os
import platform
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

Samples = Mapping[str, list[float]]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one workload gave in one round."""

    round: int
    system: str
    workload: str
    figures: dict[str, list[float]]
    others: float  # processor time used by others just before, in percent of one processor


@dataclass(kw_only=True)
class Results:
    machine: str
    began: str
    measured: list[Measured] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)  # by system
    notes: dict[str, str] = field(default_factory=dict)  # by system: why it is not here, or not whole
    path: Path | None = None

    def has(self, number: int, system: str, workload: str) -> bool:
        return any((m.round, m.system, m.workload) == (number, system, workload) for m in self.measured)

    def add(self, measured: Measured) -> None:
        self.measured.append(measured)
        self.save()

    def samples(self, system: str) -> Samples:
        """All samples of a system, by figure, in the order of the rounds."""
        found: dict[str, list[float]] = defaultdict(list)
        for measured in sorted(self.measured, key=lambda m: m.round):
            if measured.system == system:
                for figure, values in measured.figures.items():
                    found[figure].extend(values)
        return found

    def save(self) -> None:
        """Into its file, in one rename; without a file nothing is kept."""
        if self.path is None:
            return
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        draft.write_text(json.dumps(asdict(self) | {"path": None}, indent=1))
        draft.replace(self.path)


def open_results(path: Path | None) -> Results:
    """Those of the file, to go on with; new ones where there is none."""
    found = load(path) if path and path.exists() else Results(machine=machine(), began=time.strftime("%Y-%m-%d %H:%M"))
    found.path = path
    return found


def load(path: Path) -> Results:
    data: dict[str, Any] = json.loads(path.read_text())
    measured = [Measured(**row) for row in data.pop("measured")]
    return Results(**data | {"measured": measured, "path": None})


def merge(paths: Iterable[Path]) -> Results:
    """Several files as one, their rounds one after the other: the machine and the versions of the last."""
    found = [load(path) for path in paths]
    rounds = 0
    measured: list[Measured] = []
    for results in found:
        measured += [Measured(**asdict(m) | {"round": m.round + rounds}) for m in results.measured]
        rounds += 1 + max((m.round for m in results.measured), default=0)
    last = found[-1]
    versions = {name: version for results in found for name, version in results.versions.items()}
    notes = {name: note for results in found for name, note in results.notes.items()}
    return Results(machine=last.machine, began=last.began, measured=measured, versions=versions, notes=notes)


def machine() -> str:
    """This machine in a line."""
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{os.cpu_count()} processors ({_processor()}), {memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, node {_node()}"
    )


def busy_percent(seconds: float = 0.5) -> float:
    """Processor time used on this machine while we do nothing, in percent of one processor."""
    return float(psutil.cpu_percent(seconds)) * (os.cpu_count() or 1)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _node() -> str:
    try:
        return subprocess.run(
            ["node", "--version"], capture_output=True, text=True, check=False, timeout=20
        ).stdout.strip()
    except OSError:
        return "none"
