"""`:trigger`, `:backfill`, preview, explain, decisions and the simulator."""

import pytest

from flowforge.core import clock
from flowforge.operating.services import freeze, pause_engine
from flowforge.schedules import clockwork
from flowforge.schedules.models import Backfill, Schedule
from runs.models import Run
from tests import factories
from tests.apps.schedules.conftest import end_runs, ledger, runs_of
from workflows.models import TriggerDecision, Workflow

DAY = {"from": "2025-12-31T00:00:00Z", "to": "2025-12-31T04:00:00Z"}


def path(schedule, rest=""):
    return f"/v1/schedules/{schedule['id']}{rest}"


# --- run now ------------------------------------------------------------------------------------------------------


def test_it_works(client, made):
    schedule = made(inputs={"region": "eu", "day": 1}, enabled=False)
    answer = client.post(path(schedule, ":trigger"), {"inputs": {"day": 2}}).expect(202)
    run = Run.objects.get()
    assert answer.headers["Location"] == f"/v1/runs/{run.pk}"
    assert answer.data["trigger"] == {"type": "schedule", "id": schedule["id"]}
    assert run.inputs == {"region": "eu", "day": 2}
    assert ledger(schedule["id"]) == [("fired", "manual")]


def test_run_now_is_no_overlap(client, made, pass_time):
    schedule = made()
    client.post(path(schedule, ":trigger"), {}).expect(202)
    pass_time(60)
    assert len(runs_of(schedule["id"])) == 2


def test_a_key_makes_one_run(client, made):
    schedule = made()
    for _ in range(2):
        client.post(path(schedule, ":trigger"), {}, headers={"Idempotency-Key": "k"}).expect(202)
    assert Run.objects.count() == 1


def test_it_rejects_to_run_what_takes_no_runs(client, made, workflow):
    schedule = made()
    client.post(path(schedule, ":trigger"), {"input": {}}).expect(422)
    Workflow.objects.update(status="paused")
    client.post(path(schedule, ":trigger"), {}).expect(409)
    pause_engine(reason="maintenance", by="test")
    refused = client.post(path(schedule, ":trigger"), {}).expect(503)
    assert "Retry-After" in refused.headers
    client.post(path(schedule, ":backfill"), DAY).expect(503)
    client.get(path(schedule)).expect(200)


def test_ticks_of_what_is_frozen_are_kept(made, pass_time, project):
    schedule = made(overlap="allow")
    freeze(scope="project", scope_id=project.pk, reason="red button", by="test")
    pass_time(120, step=60)
    assert [run.status for run in runs_of(schedule["id"])] == ["pending", "pending"]
    assert ledger(schedule["id"]) == [("fired", "on_time")] * 2


# --- backfill -----------------------------------------------------------------------------------------------------


def test_a_backfill_runs_the_past(client, made, pass_time):
    schedule = made(cron="@hourly", overlap="allow")
    answer = client.post(path(schedule, ":backfill"), DAY).expect(202)
    assert answer.headers["Location"] == path(schedule, f"/backfills/{answer.data['id']}")
    assert (answer.data["total"], answer.data["status"]) == (4, "running")
    pass_time(1)
    assert client.get(answer.headers["Location"]).expect(200).data["status"] == "completed"
    assert [run.metadata["due_at"][11:13] for run in runs_of(schedule["id"])] == ["00", "01", "02", "03"]
    assert {run.metadata["backfill_id"] for run in runs_of(schedule["id"])} == {answer.data["id"]}
    assert ledger(schedule["id"]) == [("late", "backfill")] * 4


def test_a_due_time_that_has_its_run_gets_no_second(client, made, pass_time):
    schedule = made(overlap="allow")
    pass_time(180, step=60)
    body = {"from": "2026-01-01T11:58:00Z", "to": "2026-01-01T12:03:00Z"}
    backfill = client.post(path(schedule, ":backfill"), body).expect(202).data
    pass_time(2, step=1)
    shown = client.get(path(schedule, f"/backfills/{backfill['id']}")).data
    assert (shown["started"], shown["skipped"], shown["status"]) == (3, 2, "completed")
    assert len(runs_of(schedule["id"])) == 6
    again = client.post(path(schedule, ":backfill"), body).expect(202).data
    pass_time(2, step=1)
    assert client.get(path(schedule, f"/backfills/{again['id']}")).data["skipped"] == 5
    assert len(runs_of(schedule["id"])) == 6


def test_what_was_missed_is_made_up_for(client, made, pass_time, frozen_clock):
    schedule = made(overlap="allow")
    frozen_clock.advance(300)
    pass_time(1)
    assert ledger(schedule["id"])[:2] == [("skipped", "missed")] * 2
    client.post(path(schedule, ":backfill"), {"from": "2026-01-01T12:01:00Z", "to": "2026-01-01T12:03:00Z"}).expect(202)
    pass_time(1)
    assert ledger(schedule["id"])[:2] == [("late", "backfill")] * 2
    assert "skipped" in TriggerDecision.objects.filter(reason="backfill").first().detail


@pytest.mark.parametrize(("overlap", "at_once"), [("allow", 5), ("skip", 1), ("queue", 1)])
def test_it_comes_a_few_at_a_time(client, made, pass_time, overlap, at_once):
    schedule = made(cron="*/10 * * * *", overlap=overlap)
    client.post(path(schedule, ":backfill"), DAY).expect(202)
    pass_time(3, step=1)
    assert len(runs_of(schedule["id"])) == at_once
    end_runs(schedule["id"])
    pass_time(1)
    assert len(runs_of(schedule["id"])) == 2 * at_once


def test_it_waits_while_the_workflow_is_paused(client, made, pass_time, query_counter):
    schedule = made(cron="@hourly", overlap="allow")
    client.post(path(schedule, ":backfill"), DAY).expect(202)
    Workflow.objects.update(status="paused")
    with query_counter() as queries:
        pass_time(1)
    assert all(query["sql"].startswith("SELECT") for query in queries.captured_queries)
    assert runs_of(schedule["id"]) == []
    Workflow.objects.update(status="active")
    pass_time(1)
    assert len(runs_of(schedule["id"])) == 4


def test_one_that_nobody_can_read_stops_no_other(client, made, pass_time):
    bad, good = (made(cron="@hourly", overlap="allow", enabled=False) for _ in range(2))
    for schedule in (bad, good):
        client.post(path(schedule, ":backfill"), DAY).expect(202)
    Schedule.objects.filter(pk=bad["id"]).update(cron="nonsense")
    pass_time(1)
    assert Backfill.objects.get(schedule_id=bad["id"]).status == "failed"
    assert Backfill.objects.get(schedule_id=good["id"]).status == "completed"


def test_it_is_cancelled(client, made, pass_time):
    schedule = made(cron="*/10 * * * *")
    backfill = client.post(path(schedule, ":backfill"), DAY).expect(202).data
    pass_time(1)
    one = path(schedule, f"/backfills/{backfill['id']}")
    assert client.post(f"{one}:cancel", {}).expect(200).data["status"] == "cancelled"
    client.post(f"{one}:cancel", {}).expect(409)
    end_runs(schedule["id"])
    pass_time(5)
    assert len(runs_of(schedule["id"])) == 1
    assert [row["id"] for row in client.get(path(schedule, "/backfills")).expect(200).data] == [backfill["id"]]
    client.get(path(schedule, f"/backfills/{factories.unknown_id()}")).expect(404)


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "/from", "required"),
        ({"from": "2025-01-02T00:00:00Z", "to": "2025-01-01T00:00:00Z"}, "/to", "before_from"),
        ({"from": "2026-01-01T11:00:00Z", "to": "2026-01-01T12:00:01Z"}, "/to", "in_future"),
        ({"from": "2025-12-31T00:00:10Z", "to": "2025-12-31T00:00:20Z"}, "/from", "empty"),
        ({"from": "2025-12-01T00:00:00Z", "to": "2025-12-31T00:00:00Z"}, "/to", "too_many"),
        ({**DAY, "step": 1}, "/step", "unknown_field"),
        ({"from": 5, "to": "x"}, "/to", "invalid"),
    ],
)
def test_it_rejects_spans_that_make_no_sense(client, made, body, pointer, code):
    schedule = made()
    assert client.post(path(schedule, ":backfill"), body).expect(422).pointers[pointer] == code
    assert not Backfill.objects.exists()


def test_it_rejects_a_sixth_backfill(client, made):
    schedule = made()
    for _ in range(5):
        client.post(path(schedule, ":backfill"), DAY).expect(202)
    client.post(path(schedule, ":backfill"), DAY).expect(409)


def test_local_moments_are_of_the_schedules_zone(client, made):
    schedule = made(cron="@hourly", timezone="Asia/Tokyo")
    body = {"from": "2025-12-31T00:00:00", "to": "2025-12-31T01:00:00"}
    assert client.post(path(schedule, ":backfill"), body).expect(202).data["from"] == "2025-12-30T15:00:00.000000Z"


# --- preview, explain, decisions ----------------------------------------------------------------------------------


def test_preview(client, made):
    schedule = made(cron="30 2 * * *", timezone="Europe/Berlin", starts_at="2026-03-28T00:00:00", enabled=False)
    found = client.get(path(schedule, "/preview"), count=2).expect(200).data
    assert found == [
        {
            "due_at": "2026-03-28T01:30:00.000000Z",
            "local": "2026-03-28T02:30:00+01:00",
            "dst": None,
            "run_at": "2026-03-28T01:30:00.000000Z",
        },
        {
            "due_at": "2026-03-29T01:00:00.000000Z",
            "local": "2026-03-29T03:00:00+02:00",
            "dst": "gap",
            "run_at": "2026-03-29T01:00:00.000000Z",
        },
    ]
    assert len(client.get(path(schedule, "/preview")).data) == 5
    for wrong in (0, 101, "x", "-1", "1e1", ""):
        client.get(path(schedule, "/preview"), count=wrong).expect(400)


def codes(client, schedule):
    found = client.get(path(schedule, "/explain")).expect(200).data
    assert found["summary"] == found["causes"][0]["message"]
    for cause in found["causes"]:
        assert cause.keys() == {"code", "message", "holder", "since", "position", "unblock"}
    return [cause["code"] for cause in found["causes"]]


def test_explain(client, made, pass_time):
    schedule = made()
    assert codes(client, schedule) == ["waiting_until"]
    pass_time(60)
    assert codes(client, schedule) == ["concurrency_limit", "waiting_until"]
    [holder] = [
        c["holder"] for c in client.get(path(schedule, "/explain")).data["causes"] if c["code"] != "waiting_until"
    ]
    assert holder == {"type": "run", "id": str(runs_of(schedule["id"])[0].pk)}
    end_runs(schedule["id"])
    Workflow.objects.update(status="paused")
    assert codes(client, schedule) == ["paused", "waiting_until"]
    client.post(path(schedule, ":pause"), {}).expect(200)
    assert codes(client, schedule) == ["paused", "paused"]


def test_explain_what_was_put_aside(client, made, pass_time):
    schedule = made(cron="* * * * *")
    Schedule.objects.update(cron="nonsense")
    pass_time(120, step=10)
    found = client.get(path(schedule, "/explain")).expect(200).data
    assert "3 errors" in found["summary"]
    assert found["causes"][0]["unblock"] == [f"PATCH {path(schedule)}", f"POST {path(schedule, ':resume')}"]


def test_explain_what_is_over(client, made, pass_time):
    schedule = made(at="2026-01-01T12:00:01Z")
    pass_time(1)
    end_runs(schedule["id"])
    assert client.get(path(schedule, "/explain")).data == {
        "summary": "It is over: it is due no more.",
        "causes": [],
    }


def test_explain_what_is_frozen(client, made, project):
    schedule = made()
    freeze(scope="project", scope_id=project.pk, reason="red button", by="test")
    assert codes(client, schedule) == ["frozen", "waiting_until"]


def test_decisions_are_paged(client, made, pass_time, query_counter):
    schedule = made(overlap="allow")
    pass_time(300, step=60)
    first = client.get(path(schedule, "/decisions"), limit=2).expect(200)
    rest = client.get(path(schedule, "/decisions"), limit=9, cursor=first.meta["cursor"]).expect(200)
    assert [row["due_at"][14:16] for row in first.data + rest.data] == ["05", "04", "03", "02", "01"]
    with query_counter() as few:
        client.get(path(schedule, "/decisions"), limit=1)
    with query_counter() as many:
        client.get(path(schedule, "/decisions"), limit=5)
    assert len(few) == len(many)


# --- the simulator ------------------------------------------------------------------------------------------------


def simulation(**more):
    return {
        "schedule": {"cron": "30 2 * * *", "timezone": "Europe/Berlin"},
        "from": "2026-03-28T00:00:00Z",
        "to": "2026-03-31T00:00:00Z",
        **more,
    }


def test_simulate(client, project):
    found = client.post("/v1/schedules:simulate", simulation()).expect(200).data
    assert [(row["local"], row["dst"], row["decision"]) for row in found] == [
        ("2026-03-28T02:30:00+01:00", None, "fired"),
        ("2026-03-29T03:00:00+02:00", "gap", "fired"),
        ("2026-03-30T02:30:00+02:00", None, "fired"),
    ]
    assert not Schedule.objects.exists()


def test_simulate_what_is_missed_and_overlaps(client, project):
    body = simulation(
        schedule={"every": "1h", "catch_up": "all", "overlap": "queue"},
        downtime=[{"from": "2026-03-28T02:30:00Z", "to": "2026-03-28T04:10:00Z"}],
        run_duration="50m",
        to="2026-03-28T06:00:00Z",
    )
    found = client.post("/v1/schedules:simulate", body).expect(200).data
    assert [(row["due_at"][11:16], row["decision"], row["run_at"][11:16]) for row in found] == [
        ("00:00", "fired", "00:00"),
        ("01:00", "fired", "01:00"),
        ("02:00", "fired", "02:00"),
        ("03:00", "late", "04:10"),
        ("04:00", "deferred", "05:00"),
        ("05:00", "deferred", "05:50"),
    ]


def test_a_simulation_is_bounded(client, project):
    body = simulation(schedule={"every": "1s"}, to="2027-03-01T00:00:00Z")
    assert len(client.post("/v1/schedules:simulate", body).expect(200).data) == 1000


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"schedule": {}}, "/schedule/kind"),
        ({"schedule": {"cron": "x"}}, "/schedule/cron"),
        ({"schedule": {"cron": "@daily", "timezone": "X"}}, "/schedule/timezone"),
        ({"schedule": {"cron": "@daily", "crn": 1}}, "/schedule/crn"),
        ({"schedule": None}, "/schedule"),
        ({"to": "2026-03-28T00:00:00Z"}, "/to"),
        ({"to": "2028-03-28T00:00:00Z"}, "/to"),
        ({"downtime": [{"from": "x", "to": "y"}]}, "/downtime/0/from"),
        ({"downtime": {}}, "/downtime"),
        ({"run_duration": "long"}, "/run_duration"),
    ],
)
def test_it_rejects_what_cannot_be_played(client, project, wrong, pointer):
    assert pointer in client.post("/v1/schedules:simulate", simulation(**wrong)).expect(422).pointers


def test_what_is_played_is_what_happens(client, made, pass_time, frozen_clock):
    """The same schedule, played and lived through."""
    fields = {"every": "1m", "catch_up": "last", "overlap": "allow"}
    begin = clock.isoformat(clock.now())
    down = {"from": "2026-01-01T12:02:30Z", "to": "2026-01-01T12:06:40Z"}
    body = {"schedule": fields, "from": begin, "to": "2026-01-01T12:09:00Z", "downtime": [down]}
    played = client.post("/v1/schedules:simulate", body).expect(200).data
    schedule = made(**fields)
    pass_time(150, step=1)
    frozen_clock.advance(250)  # down
    clockwork.run_once(clock.now())
    pass_time(139, step=1)
    assert [row["decision"] for row in played[1:]] == [decision for decision, _ in ledger(schedule["id"])]
