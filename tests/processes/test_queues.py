"""Workers of different queues on PostgreSQL and Redis: who does what, who says so, and what nobody does."""

import pytest

from tests.bench.client import Client
from tests.processes.workflows import BRIEF, chain, fan, python, run_of, statuses, transform, work
from tests.support.fleet import WorkerRow, workers_of
from tests.support.service import Child, Site, until

pytestmark = [pytest.mark.processes, pytest.mark.postgres, pytest.mark.redis, pytest.mark.timeout(300)]

BEATS_WITHIN = 12.0  # two heartbeats, on a busy machine


def start_worker(fleet: Site, queues: str) -> Child:
    child = fleet.run("work", "--queues", queues)
    until(lambda: "working" in child.printed, 60, "the worker works")
    return child


def row_of(fleet: Site, child: Child) -> WorkerRow:
    return next(row for row in workers_of(fleet.database) if row.pid == child.pid)


def workers_by_step(client: Client, run_id: str) -> dict[str, int]:
    """The process that began each step, by its node."""
    events = client.call("GET", f"/v1/runs/{run_id}/events?limit=1000")["data"]
    started = [event["data"] for event in events if event["event"] == "step.started"]
    return {data["node_id"]: int(data["worker"].split(":")[1]) for data in started}


def test_it_works(fleet: Site) -> None:
    client = fleet.client()
    drivers = start_worker(fleet, "control=2,default=4")
    apart = chain(transform("first"), {**work("render"), "queue": "gpu"})
    waiting = client.start(client.create("on gpu", apart))["id"]
    until(lambda: statuses(client, waiting)["first"] == "completed", 20, "it is driven")
    until(lambda: "queue gpu: steps wait, and no worker serves it" in drivers.printed, 60, "the queue is missed")
    assert statuses(client, waiting)["render"] in ("pending", "running")
    gpu = start_worker(fleet, "gpu=2")
    until(lambda: run_of(client, waiting)["status"] == "completed", 20, "it found its worker")
    assert until(lambda: row_of(fleet, gpu).steps_count, BEATS_WITHIN, "it tells what it did") == 1
    assert row_of(fleet, gpu).pools["gpu"]["slots"] == 2
    assert set(row_of(fleet, drivers).pools) == {"control", "default"}

    processes = start_worker(fleet, "process=1")
    mixed = fan(transform("first"), python("left", BRIEF), python("right", BRIEF), *(work(f"s{n}") for n in range(4)))
    run = client.start(client.create("mixed", mixed))["id"]
    until(lambda: run_of(client, run)["status"] == "completed", 40, "each pool does its own")
    assert {workers_by_step(client, run)[name] for name in ("left", "right")} == {processes.pid}
    assert {workers_by_step(client, run)[f"s{n}"] for n in range(4)} == {drivers.pid}

    gpu.kill()
    assert row_of(fleet, gpu).life == "working"  # nobody was there to say otherwise: its heartbeat is missing
    for child in (drivers, processes):
        assert child.end() == 0, child.printed
        assert row_of(fleet, child).life == "stopped"
