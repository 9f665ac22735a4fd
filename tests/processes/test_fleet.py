"""A web process and two workers on PostgreSQL and Redis: one of them dies, the broker forgets everything."""

import time
import uuid

import psycopg
import pytest
import redis

from tests.processes.workflows import MIXED, fan, start_mixed, transform, work
from tests.support.invariants import read, violations
from tests.support.service import Child, Site, until

pytestmark = [pytest.mark.processes, pytest.mark.postgres, pytest.mark.redis, pytest.mark.timeout(300)]

PROMISED_SECONDS = 10.0
MARGIN_SECONDS = 5.0  # of a busy machine


def start_worker(fleet: Site) -> Child:
    child = fleet.run("work")
    until(lambda: "working" in child.printed, 60, "the worker works")
    return child


def running_on(fleet: Site, worker: Child) -> set[tuple[str, int]]:
    """(step, lease token) of what a worker process has claimed and not finished."""
    query = "SELECT id, lease_token FROM runs_steprun WHERE status = 'running' AND worker LIKE %s"
    with psycopg.connect(fleet.database) as connection:
        rows = connection.execute(query, [f"%:{worker.pid}:%"]).fetchall()
    return {(row[0].hex, row[1]) for row in rows}


def still_held(fleet: Site, claims: set[tuple[str, int]]) -> bool:
    """Whether one of these claims is still the newest of its step, and the step not over."""
    with psycopg.connect(fleet.database) as connection:
        rows = connection.execute("SELECT id, lease_token FROM runs_steprun WHERE status = 'running'").fetchall()
    return not claims.isdisjoint((row[0].hex, row[1]) for row in rows)


def test_it_works(fleet: Site, broker: str) -> None:
    client = fleet.client()
    workers = [start_worker(fleet), start_worker(fleet)]
    long = fan(transform("first"), *(work(f"s{n}", 3) for n in range(8)))
    held = client.create("long", long)
    accepted = [client.start(held)["id"] for _ in range(4)] + start_mixed(client, 12)
    victim = until(lambda: next((each for each in workers if len(running_on(fleet, each)) >= 4), None), 30, "both work")
    victim.kill()
    killed_at = time.monotonic()
    claims = running_on(fleet, victim)
    assert claims, "the worker died with nothing in its hands: this proves nothing"
    redis.Redis.from_url(broker).flushdb()
    until(lambda: not still_held(fleet, claims), PROMISED_SECONDS + MARGIN_SECONDS, "its steps are taken over")
    seconds = time.monotonic() - killed_at
    print(f"\n{len(claims)} steps of a killed worker were taken over after {seconds:.1f} s")
    workers.append(start_worker(fleet))
    until(lambda: not client.call("GET", "/v1/runs?status=pending,running,waiting")["data"], 90, "all runs end")
    judge(fleet, accepted)
    for child in fleet.children:
        if child.is_alive:
            assert child.end() == 0, child.printed
    assert fleet.step_processes() == []


def judge(fleet: Site, accepted: list[str]) -> None:
    stories = {story.run.id: story for story in read(fleet.database)}
    assert violations(list(stories.values())) == []
    mine = [stories[uuid.UUID(run_id).hex] for run_id in accepted]
    assert len(mine) == 4 + 12 * len(MIXED)
    assert {story.run.status for story in mine} == {"completed"}
    lost = [event for story in mine for event in story.events if event.data.get("reason") == "worker_lost"]
    assert lost


def test_it_rejects_a_broker_that_reaches_nobody(fleet: Site) -> None:
    for command in ("serve", "work", "beat"):
        child = fleet.run(command, BROKER_URL="inproc://", PORT="0")
        assert child.ended(30) == 1
        assert "BROKER_URL is not set" in child.printed
