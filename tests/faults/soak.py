"""F24: hours of steady work with a fault once in a while; nothing that a process holds may grow.

Only what lives from the beginning to the end can be measured: the last worker alone is killed, the others never are.
"""

import os
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests.faults import nemesis
from tests.faults.judge import Verdict
from tests.faults.nemesis import Strike
from tests.faults.scenarios import Scenario
from tests.faults.world import World

EVERY_SECONDS = 300.0  # between faults; in a short soak a sixth of it
SAMPLE_SECONDS = 2.0
SETTLED = 0.4  # of the time: until then caches fill and threads start
SHARE_AN_HOUR = 0.01
SLACK = {"memory": 0.05, "files": 0.25, "sessions": 0.25}  # of what it was: what comes and goes with the load
LEAST_SLACK = {"memory": 6 * 1024 * 1024, "files": 12, "sessions": 6}
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'flowforge'"


@dataclass(frozen=True, kw_only=True)
class Soak:
    """`minutes` of load."""

    name: str
    faults: str
    minutes: float
    rate: float = 1.0  # runs a second

    def run(self, world: World, seed: int) -> Verdict:
        seconds = self.minutes * 60
        gap = min(EVERY_SECONDS, seconds / 6)
        strikes = [each for _, each in zip(range(max(1, int(seconds / gap) - 1)), _strikes(world), strict=False)]
        scenario = Scenario(
            name=self.name, faults=self.faults, strikes=strikes, pause=(gap, gap), seconds=seconds, rate=self.rate
        )
        with Sampler(world) as sampler:
            verdict = scenario.run(world, seed)
        verdict.violations += sampler.growth()
        print(f"    {sampler.summary()}", flush=True)
        return verdict


def _strikes(world: World) -> Iterator[Strike]:
    """In turn, without end."""
    if world.stack == "embedded":
        kinds: Sequence[Strike] = [nemesis.hold_sqlite(3)]
    else:
        kinds = [kill_last_worker, nemesis.restart_postgres, nemesis.flush_valkey, nemesis.terminate_sessions]
    while True:
        yield from kinds


def kill_last_worker(world: World) -> None:
    world.kill(world.workers[-1])
    nemesis.come_back(world)


@dataclass
class Sampler:
    """Looks every other second at what the processes hold: memory and files of each, and sessions of all."""

    world: World
    every: float = SAMPLE_SECONDS
    samples: dict[tuple[str, str], list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    def __enter__(self) -> "Sampler":
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._pids = {role: child.pid for role, child in self.world.processes.items()}
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def growth(self) -> list[str]:
        """What holds more at the end than it did when it had settled."""
        return [
            f"{kind} of {role} grew from {before:,.0f} to {after:,.0f} within {hours * 60:.1f} minutes"
            for (role, kind), (before, after, hours) in self._compared()
            if after > before + max(LEAST_SLACK[kind], (SLACK[kind] + SHARE_AN_HOUR * hours) * before)
        ]

    def summary(self) -> str:
        told = [
            f"{kind} of {role} {_shown(kind, before)} -> {_shown(kind, after)}"
            for (role, kind), (before, after, _) in self._compared()
        ]
        return ", ".join(told)

    def _compared(self) -> Iterator[tuple[tuple[str, str], tuple[float, float, float]]]:
        """The medians of the fifth of the time after it has settled and of the last fifth, and the hours between."""
        for key, samples in self.samples.items():
            if not self._lives(key[0]) or len(samples) < 20:
                continue
            settled, fifth = int(len(samples) * SETTLED), len(samples) // 5
            early, late = samples[settled : settled + fifth], samples[-fifth:]
            medians = [statistics.median(value for _, value in part) for part in (early, late)]
            yield key, (medians[0], medians[1], (late[0][0] - early[0][0]) / 3600)

    def _lives(self, role: str) -> bool:
        """Whether it is the process that it was at the beginning."""
        return role not in self._pids or self.world.processes[role].pid == self._pids[role]

    def _loop(self) -> None:
        while not self._stop.wait(self.every):
            now = time.time()
            for role, pid in self._pids.items():
                if (memory := memory_of(pid)) and self._lives(role):
                    self.samples[role, "memory"].append((now, memory))
                    self.samples[role, "files"].append((now, len(os.listdir(f"/proc/{pid}/fd"))))
            if self.world.postgres is not None:
                self._count_sessions(now)

    def _count_sessions(self, now: float) -> None:
        try:
            [(count,)] = self.world.query(SESSIONS)
        except psycopg.Error:
            return  # it is being restarted
        assert isinstance(count, int)
        self.samples["the database", "sessions"].append((now, count))


def memory_of(pid: int) -> int:
    """Resident bytes of a process; 0 if there is none."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _shown(kind: str, value: float) -> str:
    return f"{value / 1024 / 1024:.0f} MiB" if kind == "memory" else f"{value:.0f}"
