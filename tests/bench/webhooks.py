"""What webhooks cost and survive: deliveries to receivers well and ill, and signed calls that are let in.

`python -m tests.bench.webhooks` prints figures; it asserts nothing. One process on SQLite, receivers on the loopback.
With `--peers n8n`, the calls that are let in alone, beside n8n's webhooks.
"""

import argparse
import collections
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench import hooks
from tests.bench.client import KEY, Client
from tests.bench.peers.environment import CHECKOUT
from tests.bench.processes import Processes, environment, free_port, processes, run_as_command, wait_for
from tests.bench.receivers import MODES, Receivers, receivers

WELL = ("ok", "ok")
TLS = "tls"  # asked by https, it speaks no TLS
ILL = (*["hang"] * 5, *(mode for mode in MODES if mode not in ("ok", "hang")), TLS)
SETTLE_SECONDS = 30.0  # for the well to be told of all that was published


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    if options.peers == "n8n":
        return hooks.beside_n8n(options.rounds, options.seconds)
    with tempfile.TemporaryDirectory() as folder, receivers() as found:
        port = free_port()
        variables = environment(
            FLOWFORGE_HOME=Path(folder) / "home",
            FLOWFORGE_API_KEY=KEY,
            FLOWFORGE_ALLOW_PRIVATE_TARGETS="127.0.0.1",
            FLOWFORGE_RATE_GENERAL="100000000/m",
            FLOWFORGE_RATE_RUNS="100000000/m",
            PORT=port,
        )
        with processes(Path(folder) / "log") as alive:
            alive.start([sys.executable, "manage.py", "up", "--quiet"], variables, CHECKOUT)
            wait_for(f"http://127.0.0.1:{port}/readyz", alive)
            inbound(port, options.seconds)
            outbound(port, alive, found, options.deliveries, options.rate)
    return 0


# --- inbound ------------------------------------------------------------------------------------------------------


def inbound(port: int, seconds: float) -> None:
    """Signed, each with an id of its own, answered when it and its run are on disk."""
    took = hooks.burst(hooks.flowforge(Client(port)), seconds)
    print(f"inbound   {len(took) / seconds:7.0f} signed calls/s let in, each starting a run ({hooks.CALLERS} callers)")
    p99 = hooks.percentile(took, 99) * 1000
    print(f"          p50 {statistics.median(took) * 1000:.1f} ms, p99 {p99:.1f} ms", flush=True)


# --- outbound -----------------------------------------------------------------------------------------------------


def outbound(port: int, alive: Processes, found: Receivers, deliveries: int, rate: float) -> None:
    """Every event goes to every receiver: how soon those that are well have it, and what is left of the others."""
    client = Client(port)
    told = [_subscribe(client, f"{_base(found, mode)}/{mode}/{place}") for place, mode in enumerate((*WELL, *ILL))]
    events = -(-deliveries // len(told))
    memory = [alive.memory_mb()]
    began = time.monotonic()
    for number in range(events):
        client.call("POST", "/v1/events", {"event": "bench.happened", "payload": {"n": number}})
        if number % (events // 4 or 1) == 0:
            memory.append(alive.memory_mb())
        time.sleep(max(0.0, began + (number + 1) / rate - time.monotonic()))
    published = time.monotonic() - began
    _wait_for_the_well(found, events * len(WELL))
    memory.append(alive.memory_mb())
    waits = found.waits(lambda path: path.startswith("/ok"))
    print(f"outbound  {events} events to {len(told)} receivers in {published:.0f} s, {len(ILL)} of them ill")
    print(
        f"          well: {len(waits)} of {events * len(WELL)} delivered, p50 {statistics.median(waits) * 1000:.0f} ms,"
    )
    print(f"          p95 {hooks.percentile(waits, 95) * 1000:.0f} ms, p99 {hooks.percentile(waits, 99) * 1000:.0f} ms")
    print(f"          memory {' → '.join(f'{each:.0f}' for each in memory)} MB")
    _print_fates(client, told, events)


def _base(found: Receivers, mode: str) -> str:
    return found.url.replace("http:", "https:") if mode == TLS else found.url


def _subscribe(client: Client, url: str) -> str:
    body = {"url": url, "events": ["bench.happened"]}
    return str(client.call("POST", "/v1/subscriptions", body)["data"]["id"])


def _wait_for_the_well(found: Receivers, count: int) -> None:
    ends_at = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < ends_at and len(found.waits(lambda path: path.startswith("/ok"))) < count:
        time.sleep(0.1)


def _print_fates(client: Client, told: Sequence[str], events: int) -> None:
    """Every delivery is a row, whatever became of it. Who is gone is told of nothing any more."""
    rows: collections.Counter[str] = collections.Counter()
    lost = 0
    for subscription in told:
        kept = 0
        for status in ("pending", "delivered", "dead"):
            path = f"/v1/subscriptions/{subscription}/deliveries?status={status}&page=1&limit=1"
            count = client.call("GET", path)["meta"]["total"]
            rows[status] += count
            kept += count
        if client.call("GET", f"/v1/subscriptions/{subscription}")["data"]["enabled"]:
            lost += events - kept
    print(f"          {dict(rows)}, {lost} lost")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.webhooks", description=__doc__)
    parser.add_argument("--deliveries", type=int, default=10_000, help="of all receivers together (10000)")
    parser.add_argument("--rate", type=float, default=20.0, help="events a second, each to all receivers (20)")
    parser.add_argument("--seconds", type=float, default=10.0, help="of calls that come in (10)")
    parser.add_argument("--peers", choices=("n8n", "none"), default="none", help="n8n: calls that come in, beside n8n")
    parser.add_argument("--rounds", type=int, default=3, help="with a peer: how often each is started and called (3)")
    return parser


if __name__ == "__main__":
    run_as_command(lambda: main(sys.argv[1:]))
