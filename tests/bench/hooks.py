"""Calls that come in: the same signed posts, by the same callers, at FlowForge's webhooks and at n8n's."""

import itertools
import statistics
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field

from tests.bench.client import Client, Connection
from tests.bench.peers import n8n
from tests.bench.peers.environment import CannotInstall, is_installed
from tests.bench.peers.n8n import HOOK, N8n
from tests.bench.processes import within
from tests.bench.report import markdown, number
from tests.bench.rounds import FAULTS
from tests.bench.services import Services, services
from tests.bench.stacks import Driving, OnPostgres, OnSqlite
from tests.bench.systems import Driver, System
from webhooks.signatures import signature_of

CALLERS = 4
WARM_UP_SECONDS = 2.0
START_SECONDS = 180.0  # to prepare, or to start and end, one system
SYSTEMS: tuple[type[System], ...] = (OnSqlite, OnPostgres, N8n)
DURABLE = {
    OnSqlite: "the call, its body, its id and its run, in one transaction (WAL, synchronous=FULL)",
    OnPostgres: "the same (fsync and synchronous_commit on)",
    N8n: "nothing: it answers, then stores the execution (PostgreSQL, fsync on); looks at no signature, no id",
}

_numbers = itertools.count()


@dataclass(frozen=True, kw_only=True, slots=True)
class Door:
    """Where calls are posted to."""

    port: int
    path: str
    secret: str


class Caller(Connection):
    """Signs as Standard Webhooks says, each call with an id of its own."""

    def __init__(self, door: Door) -> None:
        super().__init__(door.port)
        self._door = door

    def post(self) -> None:
        message_id, timestamp = f"msg_{next(_numbers)}", int(time.time())
        raw = f'{{"n": "{message_id}"}}'.encode()  # as Connection writes it
        self._headers |= {
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature_of(self._door.secret, message_id=message_id, timestamp=timestamp, body=raw),
        }
        self.call("POST", self._door.path, {"n": message_id})


@dataclass(kw_only=True)
class Found:
    """What one system did, in all rounds."""

    rates: list[float] = field(default_factory=list)  # calls a second, a figure a round
    took: list[float] = field(default_factory=list)  # seconds, a figure a call
    processor: list[float] = field(default_factory=list)  # seconds a call, a figure a round


def burst(door: Door, seconds: float) -> list[float]:
    """Call from all callers at once for so long: how many seconds each answer took."""
    begin = threading.Barrier(CALLERS)

    def call_until_the_end() -> list[float]:
        took: list[float] = []
        with closing(Caller(door)) as caller:
            begin.wait(timeout=10)
            ends_at = time.monotonic() + seconds
            while time.monotonic() < ends_at:
                began = time.perf_counter()
                caller.post()
                took.append(time.perf_counter() - began)
        return took

    with ThreadPoolExecutor(CALLERS) as pool:
        calling = [pool.submit(call_until_the_end) for _ in range(CALLERS)]
        return [each for called in calling for each in called.result()]


def flowforge(client: Client) -> Door:
    """A new webhook of a new workflow that has nothing to do."""
    workflow = client.create(f"hooked {next(_numbers)}", {"nodes": [], "edges": []})
    made = client.call("POST", "/v1/webhooks", {"name": "bench", "workflow_id": workflow, "auth": "hmac"})["data"]
    return Door(port=client.port, path=f"/v1/webhooks/{made['id']}/ingest", secret=made["secret"])


def beside_n8n(rounds: int, seconds: float) -> int:
    """Each system in turn, so many times over, alone on the machine while it is called. Prints a table."""
    if not is_installed(N8n.environment, N8n.recipe):
        print(f"\n!!! {N8n.title}: not measured, as it is not installed: make bench ARGS='--install --peers n8n'\n")
        return 1
    with services() as found:
        systems: list[System] = []
        for kind in SYSTEMS:
            systems += _prepared(kind, found)
        figures = {type(system): Found() for system in systems}
        for round_number in range(1, rounds + 1):
            for system in systems:
                _measure(system, figures[type(system)], round_number, seconds)
    print(table(figures))
    return 0 if all(each.rates for each in figures.values()) and len(figures) == len(SYSTEMS) else 1


def table(figures: dict[type[System], Found]) -> str:
    """Medians over the rounds; how many times as many calls as n8n takes; what is on disk before the answer."""
    known = {kind: found for kind, found in figures.items() if found.rates}
    peer = statistics.median(known[N8n].rates) if N8n in known else None
    rows = [("", "calls/s", "by n8n", "p50 ms", "p99 ms", "CPU ms a call", "on disk before the answer")]
    for kind, found in known.items():
        rate = statistics.median(found.rates)
        shown = (statistics.median(found.took), percentile(found.took, 99), statistics.median(found.processor))
        ratio = "–" if peer is None else f"{rate / peer:.2f} x"
        rows.append((kind.title, number(rate), ratio, *(number(each * 1000) for each in shown), DURABLE[kind]))
    return f"\n{markdown(rows)}\n"


def percentile(values: Sequence[float], percent: int) -> float:
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]


def _prepared(kind: type[System], found: Services) -> list[System]:
    """The system, ready to be started; nothing, said aloud, where it cannot be had."""
    folder = found.folder / kind.name
    folder.mkdir()
    system = kind(folder, found)
    try:
        with within(START_SECONDS, f"preparing {kind.title}"):
            system.prepare()
    except (*FAULTS, CannotInstall) as error:
        print(f"\n!!! {kind.title}: not measured: {error}\n", flush=True)
        return []
    return [system]


def _measure(system: System, found: Found, round_number: int, seconds: float) -> None:
    try:
        with within(START_SECONDS + WARM_UP_SECONDS + seconds, system.title), system.running() as driver:
            door = _door(driver)
            burst(door, WARM_UP_SECONDS)
            before = driver.processes.cpu_seconds()
            took = burst(door, seconds)
            spent = driver.processes.cpu_seconds() - before
    except FAULTS as error:
        print(f"\n!!! {system.title}: stopped in round {round_number}: {error}\n", flush=True)
        return
    found.rates.append(len(took) / seconds)
    found.took += took
    found.processor.append(spent / len(took))
    print(f"  {round_number}  {system.name:<20} {found.rates[-1]:,.0f} calls/s", flush=True)


def _door(driver: Driver) -> Door:
    if isinstance(driver, Driving):
        return flowforge(driver.client)
    assert isinstance(driver, n8n.Driving)
    return Door(port=driver.port, path=f"/webhook/{HOOK}", secret="whsec_bm9ib2R5IGxvb2tzIGF0IGl0")
