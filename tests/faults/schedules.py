"""Schedules under several schedulers that are killed: one run a due time, none missed (F12).

python -m tests.faults.schedules [--seconds 60] [--schedules 20] [--schedulers 5] [--seed N]

Real processes on PostgreSQL and Valkey: a web server, workers (each of which fires schedules), two beats. Every few
seconds one of them is killed by SIGKILL and started again; once, all workers and beats are away for a while. The
schedules are due every second and catch up with everything. DATABASE_URL and BROKER_URL name servers to use instead
of those that it brings; the database has to be empty.
"""

import argparse
import contextlib
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from tests.bench.client import Client
from tests.support import servers
from tests.support.service import Child, Site, site

AWAY_SECONDS = 40.0  # longer than the grace of a tick: what was due meanwhile is late
SETTLE_SECONDS = 120.0
WORK = ("work", "--queues", "control=1,default=1")
STEP = {"id": "only", "type": "transform", "config": {"values": {"due_at": "{{ run.metadata.due_at }}"}}}
# a due time's key, how many runs have it, how many of them have ended
RUNS = (
    "SELECT trigger_id, metadata->>'due_at', count(*), count(finished_at) FROM runs_run "
    "WHERE trigger_type = 'schedule' GROUP BY 1, 2"
)
DECISIONS = "SELECT decision, count(*) FROM workflows_triggerdecision GROUP BY 1"


@dataclass(kw_only=True)
class Fleet:
    """The processes that fire schedules: killed and started again."""

    place: Site
    schedulers: int
    chance: random.Random
    kills: int = 0
    children: list[tuple[tuple[str, ...], Child]] = field(default_factory=list)

    def start(self) -> None:
        for number in range(self.schedulers):
            self._run(WORK)
            if number < 2:
                self._run(("beat",))

    def kill_one(self) -> None:
        place = self.chance.randrange(len(self.children))
        command, child = self.children.pop(place)
        child.kill()
        self.kills += 1
        self._run(command)

    def kill_all(self) -> None:
        for _, child in self.children:
            child.kill()
        self.kills += len(self.children)
        self.children.clear()

    def _run(self, command: tuple[str, ...]) -> None:
        self.children.append((command, self.place.run(*command)))


@dataclass(frozen=True, kw_only=True)
class Verdict:
    expected: int
    doubled: int
    missed: int
    unended: int
    decisions: dict[str, int]

    @property
    def is_good(self) -> bool:
        return not (self.doubled or self.missed or self.unended) and sum(self.decisions.values()) == self.expected


def main(arguments: list[str]) -> int:
    """0: nothing doubled, nothing missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.schedules", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--schedules", type=int, default=20)
    parser.add_argument("--schedulers", type=int, default=5)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(100_000))
    options = parser.parse_args(arguments)
    print(f"seed {options.seed}", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="flowforge-schedules-") as name,
        _services(Path(name)) as urls,
        site(Path(name) / "home", **urls) as place,
    ):
        verdict = play(place, options)
    print(verdict, flush=True)
    return 0 if verdict.is_good else 1


def play(place: Site, options: argparse.Namespace) -> Verdict:
    place.run("migrate", "--verbosity", "0").ended(120)
    place.run("bootstrap").ended(60)
    place.serve("serve", FLOWFORGE_WEB_THREADS="2")
    fleet = Fleet(place=place, schedulers=options.schedulers, chance=random.Random(options.seed))
    fleet.start()
    begin = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=5)
    ids = make_schedules(place.client(), begin, options)
    torment(fleet, begin, options.seconds)
    expected = {
        (key, f"{begin + timedelta(seconds=n):%Y-%m-%dT%H:%M:%S.%fZ}") for key in ids for n in range(options.seconds)
    }
    deadline = time.monotonic() + SETTLE_SECONDS
    verdict = judge(place.database, expected)
    while not verdict.is_good and time.monotonic() < deadline:
        time.sleep(1)
        verdict = judge(place.database, expected)
    print(f"{fleet.kills} kills", flush=True)
    return verdict


def make_schedules(client: Client, begin: datetime, options: argparse.Namespace) -> list[str]:
    workflow = client.create("ticks", {"nodes": [STEP], "edges": []})
    body = {
        "workflow_id": workflow,
        "every": "1s",
        "overlap": "allow",
        "catch_up": "all",
        "starts_at": begin.isoformat(),
        "ends_at": (begin + timedelta(seconds=options.seconds - 1)).isoformat(),
    }
    made = (client.call("POST", "/v1/schedules", {"name": f"s{n}", **body}) for n in range(options.schedules))
    return [found["data"]["id"] for found in made]


def torment(fleet: Fleet, begin: datetime, seconds: int) -> None:
    """Kill one after the other until the last due time; in the middle, all of them."""
    middle, end = begin + timedelta(seconds=seconds / 2), begin + timedelta(seconds=seconds)
    was_away = False
    while datetime.now(UTC) < end:
        time.sleep(fleet.chance.uniform(1.5, 4.0))
        if datetime.now(UTC) > middle and not was_away:
            was_away = True
            fleet.kill_all()
            time.sleep(AWAY_SECONDS)
            fleet.start()
        else:
            fleet.kill_one()


def judge(database: str, expected: set[tuple[str, str]]) -> Verdict:
    with psycopg.connect(database) as connection:
        found: dict[tuple[str, str], tuple[int, int]] = {
            (key, due_at): (count, ended) for key, due_at, count, ended in connection.execute(RUNS)
        }
        decisions: Counter[str] = Counter(dict[str, Any](connection.execute(DECISIONS).fetchall()))
    return Verdict(
        expected=len(expected),
        doubled=sum(count - 1 for count, _ in found.values()) + len(found.keys() - expected),
        missed=len(expected - found.keys()),
        unended=sum(count - ended for count, ended in found.values()),
        decisions=dict(decisions),
    )


@contextlib.contextmanager
def _services(folder: Path) -> Iterator[dict[str, str]]:
    """The servers that the environment names, or our own."""
    given = {name: os.environ[name] for name in ("DATABASE_URL", "BROKER_URL") if name in os.environ}
    if len(given) == 2:
        yield given
        return
    folder.chmod(0o755)  # PostgreSQL may run as another user
    for name in ("postgres", "valkey"):
        (folder / name).mkdir()
    with servers.postgres(folder / "postgres") as database, servers.valkey(folder / "valkey") as broker:
        yield {"DATABASE_URL": database, "BROKER_URL": broker}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
