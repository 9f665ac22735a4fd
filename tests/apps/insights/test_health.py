"""GET /v1/monitoring/health: what is well, what is not, and that it says so in time."""

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError
from django.test.utils import CaptureQueriesContext

from flowforge.core import clock
from flowforge.insights import components, health
from flowforge.insights.components import Verdict, look_within
from flowforge.workers.models import Worker
from tests import factories
from tests.support.api import ApiClient
from tests.support.clock import FrozenClock

PATH = "/v1/monitoring/health"
NAMES = ["Database", "Broker", "Workers", "Scheduler", "Storage"]


def pool(**more: Any) -> dict[str, Any]:
    now = clock.isoformat(clock.now())
    return {"slots": 2, "busy": 0, "heard_at": now, "hint_at": now, **more}


def make_worker(*queues: str, **more: Any) -> Worker:
    return factories.make_worker(**{"pools": {queue: pool() for queue in queues or ("control", "default")}, **more})


def seen(client: ApiClient) -> dict[str, str]:
    """Each part's status, and the whole's as `""`."""
    data = client.get(PATH).expect(200).data
    return {"": data["status"]} | {part["name"]: part["status"] for part in data["components"]}


@pytest.fixture(autouse=True)
def _room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: (10**12, 0, 10**12))


def test_it_works(client: ApiClient, query_counter: Callable[[], CaptureQueriesContext]) -> None:
    make_worker()
    make_worker("control", "gpu", isolation="bubblewrap")
    data = client.get(PATH).expect(200).data
    assert [part["name"] for part in data["components"]] == NAMES
    assert {part["status"] for part in data["components"]} == {data["status"]} == {"HEALTHY"}
    assert all(0 <= part["latency"] < 2000 for part in data["components"])
    assert data["isolation"] == {"level": "limits", "levels": {"limits": 1, "bubblewrap": 1}}
    with query_counter() as queries:
        health.health()
    assert len(queries) <= 7  # on PostgreSQL with a transaction and its limit


@pytest.mark.parametrize("role", ["viewer", "owner"])
def test_every_role_may_look(client_as: Callable[..., ApiClient], role: str) -> None:
    assert client_as(role).get(PATH).expect(200)


def test_it_rejects_whoever_shows_nothing(anonymous: ApiClient) -> None:
    for path in (PATH, f"{PATH}/", f"{PATH}/x", f"{PATH}//", "/v1/monitoring//health", f"{PATH};x", f"{PATH}%2e"):
        assert anonymous.get(path).status in (401, 404)
    assert anonymous.get(PATH).expect(401)
    assert anonymous.post(PATH).status in (401, 405)


def test_it_rejects_queries_that_it_does_not_know(client: ApiClient) -> None:
    assert client.get(f"{PATH}?verbose=1").expect(400)


# --- workers ------------------------------------------------------------------------------------------------------


def test_without_workers_nothing_is_well(client: ApiClient) -> None:
    found = seen(client)
    assert (found["Workers"], found["Scheduler"], found[""]) == ("UNHEALTHY",) * 3
    assert client.get(PATH).data["isolation"] == {"level": None, "levels": {}}


def test_a_worker_that_drains_serves_nobody(client: ApiClient) -> None:
    make_worker(draining_at=clock.now())
    assert seen(client)["Workers"] == "UNHEALTHY"


def test_somebody_has_to_drive(client: ApiClient) -> None:
    make_worker("default")
    assert seen(client)["Workers"] == "DEGRADED"


def test_a_stuck_worker_is_told(client: ApiClient, frozen_clock: FrozenClock) -> None:
    now = clock.now()
    silent = {"control": pool(heard_at=clock.isoformat(now - timedelta(minutes=1)))}
    make_worker(pools=silent, started_at=now - timedelta(hours=1))
    assert seen(client)["Workers"] == "DEGRADED"


def test_a_queue_that_nobody_serves_is_named(client: ApiClient, project: Any, frozen_clock: FrozenClock) -> None:
    run = factories.make_run(workflow=factories.make_workflow(project=project), status="running")
    factories.make_step(run=run, status="pending", queue="gpu", available_at=clock.now() - timedelta(seconds=11))
    make_worker()
    part = client.get(PATH).data["components"][2]
    assert part["status"] == "DEGRADED"
    assert "nobody serves: gpu" in part["detail"]


@pytest.mark.parametrize(("seconds", "expected"), [(15, "HEALTHY"), (16, "DEGRADED"), (61, "UNHEALTHY")])
def test_the_scheduler_is_who_looks_for_due_runs(
    client: ApiClient, frozen_clock: FrozenClock, seconds: int, expected: str
) -> None:
    now = clock.now()
    make_worker(swept_at=now - timedelta(seconds=seconds), started_at=now - timedelta(hours=1))
    assert seen(client)["Scheduler"] == expected


# --- what does not answer -----------------------------------------------------------------------------------------


def test_a_broker_that_refuses_is_told(client: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    make_worker()

    def refuse() -> None:
        raise ConnectionRefusedError("redis://:password@host")

    monkeypatch.setattr(health, "_broker", refuse)
    answer = client.get(PATH)
    assert (answer.data["status"], answer.data["components"][1]["status"]) == ("UNHEALTHY", "UNHEALTHY")
    assert "password" not in str(answer.json)


def test_a_part_that_hangs_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()

    def hang() -> Verdict:
        let_go.wait(30)
        return Verdict(status="HEALTHY", detail="")

    waits = [look_within("Broker", hang, seconds=0.05) for _ in range(10)]
    assert {wait().status for wait in waits} == {"UNHEALTHY"}
    let_go.set()
    assert look_within("Broker", lambda: Verdict(status="HEALTHY", detail=""))().status == "HEALTHY"


def test_a_query_that_fails_is_told(client: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(now: object) -> None:
        raise DatabaseError("canceling statement due to statement timeout")

    monkeypatch.setattr(health, "live_workers", fail)
    found = seen(client)
    assert (found["Database"], found["Workers"]) == ("HEALTHY", "UNHEALTHY")


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_statement_takes_no_longer_than_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "MAX_SECONDS", 0.1)

    def slow(now: object) -> list[Worker]:
        return list(Worker.objects.extra(where=["pg_sleep(30) IS NOT NULL OR true"])) or _sleep()

    monkeypatch.setattr(health, "live_workers", slow)
    found = {part.name: part for part in health.health().components}
    assert found["Workers"].status == "UNHEALTHY"
    assert found["Workers"].latency < 10_000


def _sleep() -> list[Worker]:
    return list(Worker.objects.raw("SELECT *, pg_sleep(30) FROM (SELECT pg_sleep(30)) AS nothing, workers_worker"))


# --- the disk -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("total", "free", "expected"),
    [
        (10**12, 10**11, "HEALTHY"),
        (10**12, 4 * 10**10, "DEGRADED"),
        (10**10, 10**9, "DEGRADED"),
        (10**12, 10**7, "UNHEALTHY"),
    ],
)
def test_it_sees_a_disk_fill_up(total: int, free: int, expected: str) -> None:
    assert health.storage_verdict(total, free).status == expected


def test_it_rejects_a_home_that_cannot_be_written_to(settings: Any, tmp_path: Path) -> None:
    settings.HOME = tmp_path / "gone"
    assert components.look("Storage", health._storage).status == "UNHEALTHY"
    settings.HOME = tmp_path
    assert components.look("Storage", health._storage).status == "HEALTHY"
    assert list(tmp_path.iterdir()) == []


def test_it_rejects_a_store_of_assets_that_does_not_answer(settings: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for store, expected in ((f"file://{tmp_path}/store", "HEALTHY"), (f"file://{tmp_path}/file", "UNHEALTHY")):
        settings.ASSET_STORE = store
        assert components.look("Storage", health._storage).status == expected
