"""`/v1/alerts`: conditions that are checked as a whole, and judged by sweeps."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from flowforge.alerts import metrics
from flowforge.alerts.models import Alert
from flowforge.alerts.services.checking import EVERY, run_once
from flowforge.core import clock
from flowforge.events.models import Event
from tests import factories

BODY = {"name": "Imports fail", "metric": "failure_rate", "threshold": 0.5}
Make = Callable[..., Alert]


@pytest.fixture
def workflow(project):
    return factories.make_workflow(project=project)


@pytest.fixture
def alert(project, workflow) -> Make:
    def make(metric: str, operator: str = "gt", threshold: float = 0, **fields: Any) -> Alert:
        known = {"project": project, "workflow": workflow, "name": "a", "window": "1h"}
        return Alert.objects.create(metric=metric, operator=operator, threshold=threshold, **{**known, **fields})

    return make


def ended(workflow: Any, status: str, *, ago: float = 60, lasted: float = 10, **fields: Any) -> Any:
    at = clock.now() - timedelta(seconds=ago)
    started = at - timedelta(seconds=lasted)
    known = {"status": status, "created_at": started, "started_at": started, "finished_at": at}
    return factories.make_run(workflow=workflow, **{**known, **fields})


def told() -> list[tuple[str, float | None]]:
    rows = Event.objects.filter(name="alert.triggered").order_by("id")
    return [(row.payload["state"], row.payload["value"]) for row in rows]


def look(alert: Alert, frozen_clock: Any) -> str:
    frozen_clock.advance(EVERY.total_seconds())
    run_once(clock.now())
    alert.refresh_from_db()
    return alert.state


def test_it_works(client, workflow, frozen_clock):
    made = client.post("/v1/alerts", {**BODY, "workflow_id": str(workflow.pk)}).expect(201)
    assert made.data["state"] == "ok"
    ended(workflow, "completed")
    assert run_once(clock.now()) == 0
    for _ in range(2):
        ended(workflow, "failed")
    frozen_clock.advance(20)
    assert run_once(clock.now()) == 1
    shown = client.get(made.headers["Location"]).expect(200)
    assert (shown.data["state"], shown.data["last_triggered_at"]) == ("firing", clock.isoformat(clock.now()))
    assert shown.data["value"] == pytest.approx(2 / 3)
    assert shown.headers["ETag"] != made.headers["ETag"]
    assert told() == [("firing", pytest.approx(2 / 3))]


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        ({"threshold": None}, {"/threshold": "required"}),
        ({"threshold": 1.5}, {"/threshold": "max_value"}),
        ({"threshold": -1}, {"/threshold": "invalid"}),
        ({"threshold": "5m"}, {"/threshold": "invalid"}),
        ({"threshold": True}, {"/threshold": "invalid"}),
        ({"threshold": "soon", "metric": "run_duration"}, {"/threshold": "invalid"}),
        ({"metric": "speed"}, {"/metric": "invalid_choice"}),
        ({"operator": "eq"}, {"/operator": "invalid_choice"}),
        ({"severity": "bad"}, {"/severity": "invalid_choice"}),
        ({"window": "soon"}, {"/window": "invalid"}),
        ({"window": "32d"}, {"/window": "out_of_range"}),
        ({"state": "firing"}, {"/state": "unknown_field"}),
    ],
)
def test_it_rejects_a_bad_body(client, project, change, faults):
    assert client.post("/v1/alerts", {**BODY, **change}).expect(422).pointers == faults


def test_it_rejects_another_projects_workflow(client, other_project):
    foreign = str(factories.make_workflow(project=other_project).pk)
    assert client.post("/v1/alerts", {**BODY, "workflow_id": foreign}).expect(422).pointers == {
        "/workflow_id": "not_found"
    }
    made = client.post("/v1/alerts", BODY).expect(201)
    client.patch(made.headers["Location"], {"workflow_id": foreign}).expect(422)


def test_it_is_changed_and_removed(client, project, frozen_clock):
    made = client.post("/v1/alerts", {**BODY, "metric": "run_duration", "threshold": "5m"}).expect(201)
    assert (made.data["threshold"], made.data["window"], made.data["severity"]) == (300.0, "1h", "warning")
    path, tag = made.headers["Location"], made.headers["ETag"]
    Alert.objects.update(value=3.0)
    client.patch(path, {"threshold": 7}, headers={"If-Match": tag}).expect(200)  # a look is no edit
    client.patch(path, {"threshold": 8}, headers={"If-Match": tag}).expect(412)
    assert client.get(path, headers={"If-None-Match": tag}).expect(200).data["threshold"] == 7
    client.delete(path).expect(204)
    client.get(path).expect(404)


def test_no_run_needs_no_threshold(client, project):
    client.post("/v1/alerts", {"name": "quiet", "metric": "no_run", "window": "1h"}).expect(201)


def test_a_list_costs_the_same_however_long(client, alert, query_counter):
    alert("failure_rate")
    client.get("/v1/alerts").expect(200)
    with query_counter() as few:
        client.get("/v1/alerts").expect(200)
    for _ in range(5):
        alert("no_run")
    with query_counter() as many:
        assert len(client.get("/v1/alerts").expect(200).data) == 6
    assert len(few) == len(many)


# --- metrics ------------------------------------------------------------------------------------------------------


def test_the_failure_rate_is_of_what_ended_in_the_window(alert, workflow, project, frozen_clock):
    for status in ("completed", "failed", "failed", "failed"):
        ended(workflow, status)
    ended(workflow, "failed", ago=3600)  # at the window's edge: not within
    ended(workflow, "cancelled")
    ended(factories.make_workflow(project=project), "completed")
    assert metrics.measure(alert("failure_rate"), clock.now()) == 0.75
    assert metrics.measure(alert("failure_rate", workflow=None), clock.now()) == 0.6


def test_consecutive_failures_are_the_newest(alert, workflow, frozen_clock):
    for ago, status in ((50, "failed"), (40, "completed"), (30, "failed"), (20, "cancelled"), (10, "failed")):
        ended(workflow, status, ago=ago)
    assert metrics.measure(alert("consecutive_failures"), clock.now()) == 2


def test_the_percentile_is_the_nearest_rank(alert, workflow, frozen_clock):
    for seconds in range(1, 21):
        ended(workflow, "completed", lasted=seconds)
    assert metrics.measure(alert("duration_p95"), clock.now()) == 19


def test_a_long_run_is_seen_while_it_runs(alert, workflow, frozen_clock):
    ended(workflow, "completed", lasted=5)
    assert metrics.measure(alert("run_duration"), clock.now()) == 5
    begun = clock.now() - timedelta(seconds=100)
    factories.make_run(workflow=workflow, status="running", started_at=begun)
    assert metrics.measure(alert("run_duration"), clock.now()) == 100


def test_waiting_is_counted_from_when_a_run_may_begin(alert, workflow, frozen_clock):
    now = clock.now()
    ended(workflow, "completed", created_at=now - timedelta(seconds=100))  # started at -70: waited for 30 s
    assert metrics.measure(alert("queue_time"), now) == 30
    long_ago = now - timedelta(seconds=500)
    factories.make_run(workflow=workflow, created_at=long_ago, run_at=now + timedelta(seconds=5))
    assert metrics.measure(alert("queue_time"), now) == 30
    factories.make_run(workflow=workflow, created_at=long_ago, run_at=now - timedelta(seconds=45))
    assert metrics.measure(alert("queue_time"), now) == 45


@pytest.mark.parametrize(
    "metric", ["failure_rate", "consecutive_failures", "duration_p95", "run_duration", "queue_time"]
)
@pytest.mark.parametrize("operator", ["gt", "lt", "gte", "lte"])
def test_an_empty_window_fires_nothing(alert, metric, operator, frozen_clock):
    assert look(alert(metric, operator, 1), frozen_clock) == "ok"


def test_no_run_fires_until_there_is_one(alert, workflow, frozen_clock):
    row = alert("no_run")
    assert look(row, frozen_clock) == "firing"
    factories.make_run(workflow=workflow, created_at=clock.now())
    assert look(row, frozen_clock) == "ok"
    frozen_clock.advance(3600)
    assert look(row, frozen_clock) == "firing"
    assert [state for state, _ in told()] == ["firing", "ok", "firing"]


@pytest.mark.parametrize(("operator", "fires"), [("gt", False), ("gte", True), ("lt", False), ("lte", True)])
def test_a_threshold_is_compared_as_its_operator_says(alert, workflow, operator, fires, frozen_clock):
    ended(workflow, "failed")
    assert (look(alert("failure_rate", operator, 1), frozen_clock) == "firing") is fires


# --- the sweep ----------------------------------------------------------------------------------------------------


def test_a_state_that_stays_is_told_once_and_costs_no_write(alert, workflow, frozen_clock, query_counter):
    row = alert("failure_rate")
    ended(workflow, "failed")
    assert [look(row, frozen_clock) for _ in range(3)] == ["firing"] * 3
    assert told() == [("firing", 1.0)]
    frozen_clock.advance(20)
    with query_counter() as queries:
        run_once(clock.now())
    assert sum(query["sql"].startswith("UPDATE") for query in queries) == 1  # its claim


def test_one_that_is_switched_off_is_silent(alert, workflow, client, frozen_clock):
    row = alert("failure_rate")
    ended(workflow, "failed")
    assert look(row, frozen_clock) == "firing"
    assert client.patch(f"/v1/alerts/{row.pk}", {"enabled": False}).expect(200).data["state"] == "ok"
    assert look(row, frozen_clock) == "ok"
    assert told() == [("firing", 1.0)]
    client.patch(f"/v1/alerts/{row.pk}", {"enabled": True}).expect(200)
    assert look(row, frozen_clock) == "firing"


def test_a_bad_alert_stops_no_other(alert, workflow, frozen_clock):
    bad, good = alert("failure_rate"), alert("failure_rate")
    Alert.objects.filter(pk=bad.pk).update(window="never")
    ended(workflow, "failed")
    assert look(good, frozen_clock) == "firing"
    bad.refresh_from_db()
    assert (bad.state, bad.error_count, bad.next_check_at) == ("ok", 1, clock.now() + 2 * EVERY)
    assert bad.error
    for _ in range(20):
        frozen_clock.advance(3600)
        run_once(clock.now())
    bad.refresh_from_db()
    assert bad.next_check_at == clock.now() + timedelta(hours=1)


@pytest.mark.django_db(transaction=True)
def test_many_processes_tell_once(alert, workflow):
    alert("failure_rate")
    ended(workflow, "failed")
    now, barrier, counts = clock.now() + timedelta(seconds=1), threading.Barrier(4), []

    def sweep() -> None:
        try:
            barrier.wait(10)
            counts.append(run_once(now))
        finally:
            connection.close()

    threads = [threading.Thread(target=sweep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(counts) == [0, 0, 0, 1]
    assert told() == [("firing", 1.0)]
