"""Rounds: in each, every system is started, does every workload once, and is ended. So drift hits all of them alike."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from subprocess import SubprocessError

from tests.bench import limits
from tests.bench.peers.environment import CannotInstall, install
from tests.bench.processes import within
from tests.bench.results import Measured, Results, busy_percent
from tests.bench.services import Services
from tests.bench.systems import CannotDo, Driver, System
from tests.bench.workloads import WORKLOADS
from tests.support.servers import CannotStart

FAULTS = (
    OSError,
    HTTPException,
    RuntimeError,
    ValueError,
    KeyError,
    SubprocessError,
    CannotStart,
)  # of a peer, its API, its servers; TimeoutError too


@dataclass(kw_only=True)
class Rounds:
    results: Results
    services: Services
    workloads: Sequence[str]
    repeats: int
    budget: float  # seconds that a system may take in all
    spent: dict[str, float] = field(default_factory=dict)
    systems: list[System] = field(default_factory=list)

    def prepare(self, kinds: Sequence[type[System]]) -> None:
        """Install and start each once; who cannot be had is named and left out."""
        for kind in kinds:
            if all(self._missing(kind, number) == [] for number in range(self._rounds_of(kind))):
                continue
            try:
                self._prepare(kind)
            except (*FAULTS, CannotInstall) as error:
                self._leave_out(kind, f"not measured: {_line(error)}")

    def measure(self) -> None:
        for number in range(self.repeats):
            self._measure_limits(number)
            for system in list(self.systems):
                if number < self._rounds_of(type(system)) and self._missing(type(system), number):
                    self._measure(system, number)

    def _prepare(self, kind: type[System]) -> None:
        if kind.recipe is not None:
            install(kind.environment, kind.recipe)
        folder = self.services.folder / kind.name
        folder.mkdir()
        system = kind(folder, self.services)
        with self._clock(kind), within(self.budget, f"preparing {kind.title}"):
            system.prepare()
        self.results.versions[kind.name] = kind.version()
        self.systems.append(system)

    def _measure_limits(self, number: int) -> None:
        if not self.results.has(number, limits.NAME, limits.NAME):
            others = busy_percent()
            figures = limits.measure(self.services, {system.bound for system in self.systems})
            self._add(number, limits.NAME, limits.NAME, figures, others)

    def _measure(self, system: System, number: int) -> None:
        """All that is missing of one system in one round; a fault ends its part in the measurement."""
        left = self.budget - self.spent.get(system.name, 0.0)
        if left <= 0:
            self._leave_out(type(system), f"stopped after round {number}: its budget is used up")
            self.systems.remove(system)
            return
        others = busy_percent()
        try:
            with self._clock(type(system)), within(left, system.title), system.running() as driver:
                self._work(system, driver, number, others)
        except FAULTS as error:
            self._leave_out(type(system), f"stopped in round {number + 1}: {_line(error)}")
            self.systems.remove(system)

    def _work(self, system: System, driver: Driver, number: int, others: float) -> None:
        for name in self._missing(type(system), number):
            try:
                figures = WORKLOADS[name](driver, system.sizes)
            except CannotDo:
                figures = {}
            self._add(number, system.name, name, figures, others)

    def _add(self, number: int, system: str, workload: str, figures: dict[str, list[float]], others: float) -> None:
        self.results.add(Measured(round=number, system=system, workload=workload, figures=figures, others=others))
        shown = "   ".join(f"{name} {min(values):,.1f} … {max(values):,.1f}" for name, values in figures.items())
        if shown:
            print(f"  {number + 1}  {system:<20} {shown}", flush=True)

    def _missing(self, kind: type[System], number: int) -> list[str]:
        return [name for name in self.workloads if not self.results.has(number, kind.name, name)]

    def _rounds_of(self, kind: type[System]) -> int:
        return min(self.repeats, kind.rounds)

    def _leave_out(self, kind: type[System], reason: str) -> None:
        print(f"\n!!! {kind.title}: {reason}\n", flush=True)
        self.results.notes[kind.title] = reason
        self.results.save()

    @contextlib.contextmanager
    def _clock(self, kind: type[System]) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.spent[kind.name] = self.spent.get(kind.name, 0.0) + time.monotonic() - began


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
