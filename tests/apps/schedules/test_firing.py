"""Ticks: one run a due time, whatever happens; the ledger says what became of each."""

from datetime import timedelta

import pytest
from django_celery_beat.models import PeriodicTask

from flowforge.core import clock
from flowforge.projects.models import Project
from flowforge.schedules import clockwork, tasks
from flowforge.schedules.models import Schedule
from flowforge.schedules.services import firing
from runs.models import Run
from tests import factories
from tests.apps.schedules.conftest import end_runs, ledger, moment, runs_of, stored
from workflows.models import TriggerDecision, Workflow

LATE = 3600


def test_it_works(client, made, pass_time, frozen_clock):
    schedule = made(inputs={"region": "eu"})
    pass_time(59)
    assert runs_of(schedule["id"]) == []
    pass_time(1)
    [run] = runs_of(schedule["id"])
    assert (run.trigger_type, run.trigger_id, run.inputs) == ("schedule", schedule["id"], {"region": "eu"})
    assert run.metadata == {
        "schedule_id": schedule["id"],
        "schedule_name": "Mine",
        "due_at": "2026-01-01T12:01:00.000000Z",
    }
    shown = client.get(f"/v1/schedules/{schedule['id']}").data
    assert shown["last_run_at"] == shown["last_due_at"] == "2026-01-01T12:01:00.000000Z"
    assert shown["next_run_at"] == "2026-01-01T12:02:00.000000Z"
    [decision] = client.get(f"/v1/schedules/{schedule['id']}/decisions").expect(200).data
    assert (decision["decision"], decision["reason"], decision["run_id"]) == ("fired", "on_time", str(run.pk))
    assert decision["due_at"] == "2026-01-01T12:01:00.000000Z"
    assert client.get(f"/v1/runs/{run.pk}").data["trigger"] == {"type": "schedule", "id": schedule["id"]}


def test_looking_twice_changes_nothing(made, pass_time):
    schedule = made()
    pass_time(60)
    for _ in range(3):
        clockwork.run_once(clock.now())
        tasks.tick(schedule["id"])
    assert len(runs_of(schedule["id"])) == 1


def test_beats_message_fires_it(made, frozen_clock):
    schedule = made()
    tasks.tick(schedule["id"])  # too early: nothing
    frozen_clock.advance(60)
    tasks.tick(schedule["id"])
    assert len(runs_of(schedule["id"])) == 1
    tasks.tick(factories.unknown_id())  # gone meanwhile


def test_once_is_over_after_its_time(client, made, pass_time):
    schedule = made(at="2026-01-01T12:00:30Z")
    pass_time(60, step=10)
    assert len(runs_of(schedule["id"])) == 1
    assert client.get(f"/v1/schedules/{schedule['id']}").data["status"] == "finished"
    assert not PeriodicTask.objects.get().enabled


def test_its_end_ends_it(made, pass_time):
    schedule = made(overlap="allow", ends_at="2026-01-01T12:02:00Z")
    pass_time(300, step=30)
    assert len(runs_of(schedule["id"])) == 2
    assert stored(schedule["id"]).status == "finished"


def test_a_clock_that_is_set_back_repeats_nothing(made, pass_time, frozen_clock):
    schedule = made(overlap="allow")
    pass_time(180, step=20)
    frozen_clock.advance(-170)
    Schedule.objects.update(next_due_at=clock.now(), next_run_at=clock.now())  # even if the cursor were lost
    Schedule.objects.update(next_due_at="2026-01-01T12:01:00Z")
    pass_time(230, step=10)
    assert len(runs_of(schedule["id"])) == 4
    assert len(ledger(schedule["id"])) == 4


def test_jitter_moves_runs_but_not_due_times(made, pass_time):
    schedule = made(overlap="allow", jitter="40s", every="1m")
    pass_time(600, step=1)
    runs = runs_of(schedule["id"])
    delays = [run.created_at - moment(run.metadata["due_at"]) for run in runs]
    assert 9 <= len(runs) <= 10
    assert all(timedelta(0) <= delay <= timedelta(seconds=41) for delay in delays)
    assert len(set(delays)) > 3


# --- catching up --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("catch_up", "runs", "counts"),
    [
        ("none", 1, {"skipped": 59, "fired": 1}),
        ("last", 1, {"coalesced": 59, "fired": 1}),
        ("all", 60, {"late": 59, "fired": 1}),
    ],
)
def test_what_was_missed(client, made, pass_time, frozen_clock, catch_up, runs, counts):
    schedule = made(catch_up=catch_up, overlap="allow")
    frozen_clock.advance(LATE)  # nobody looks for an hour
    pass_time(3, step=1)
    assert len(runs_of(schedule["id"])) == runs
    found = [decision for decision, _ in ledger(schedule["id"])]
    assert {name: found.count(name) for name in found} == counts


def test_what_is_caught_up_comes_in_helpings(made, frozen_clock):
    schedule = made(catch_up="all", overlap="allow")
    frozen_clock.advance(LATE)
    clockwork.run_once(clock.now())
    assert len(runs_of(schedule["id"])) == 50
    frozen_clock.advance(1)
    clockwork.run_once(clock.now())
    assert len(runs_of(schedule["id"])) == 60


def test_what_is_older_than_the_window_stays_missed(made, frozen_clock, pass_time):
    schedule = made(catch_up="all", overlap="allow", catch_up_window="10m")
    frozen_clock.advance(LATE)
    pass_time(2, step=1)
    assert len(runs_of(schedule["id"])) == 10
    row = TriggerDecision.objects.get(reason="outside_window")
    assert (row.decision, row.due_at.minute, row.until_at.minute) == ("skipped", 1, 51)


# --- overlap ------------------------------------------------------------------------------------------------------


def test_skip(client, made, pass_time):
    schedule = made()
    pass_time(120, step=60)
    assert ledger(schedule["id"]) == [("fired", "on_time"), ("skipped", "overlap")]
    met = TriggerDecision.objects.get(decision="skipped").run_id
    assert [met] == [run.pk for run in runs_of(schedule["id"])]
    end_runs(schedule["id"])
    pass_time(60)
    assert ledger(schedule["id"])[-1] == ("fired", "on_time")


def test_queue(made, pass_time):
    schedule = made(overlap="queue")
    pass_time(180, step=60)
    assert ledger(schedule["id"]) == [("fired", "on_time"), ("deferred", "overlap"), ("deferred", "overlap")]
    for expected in (2, 3, 3):
        end_runs(schedule["id"])
        pass_time(1)
        assert len(runs_of(schedule["id"])) == expected
    runs = runs_of(schedule["id"])
    assert [row.run_id for row in TriggerDecision.objects.order_by("due_at")] == [run.pk for run in runs]
    assert [run.metadata["due_at"][14:16] for run in runs] == ["01", "02", "03"]


def test_queue_waits_while_it_is_paused(client, made, pass_time):
    schedule = made(overlap="queue")
    pass_time(120, step=60)
    client.post(f"/v1/schedules/{schedule['id']}:pause", {}).expect(200)
    end_runs(schedule["id"])
    pass_time(5)
    assert len(runs_of(schedule["id"])) == 1
    client.post(f"/v1/schedules/{schedule['id']}:resume", {}).expect(200)
    pass_time(5)
    assert len(runs_of(schedule["id"])) == 2


def test_a_queue_whose_schedule_is_gone_ends(client, made, pass_time):
    schedule = made(overlap="queue")
    pass_time(120, step=60)
    client.delete(f"/v1/schedules/{schedule['id']}").expect(204)
    end_runs(schedule["id"])
    pass_time(1)
    assert ledger(schedule["id"]) == [("fired", "on_time"), ("skipped", "schedule_deleted")]


def test_allow(made, pass_time):
    schedule = made(overlap="allow")
    pass_time(180, step=60)
    assert ledger(schedule["id"]) == [("fired", "on_time")] * 3


def test_cancel_running(made, pass_time):
    schedule = made(overlap="cancel_running")
    pass_time(120, step=60)
    first, second = runs_of(schedule["id"])
    assert first.cancel_requested_at is not None
    assert second.cancel_requested_at is None
    assert ledger(schedule["id"]) == [("fired", "on_time"), ("fired", "cancelled_running")]


# --- what is wrong ------------------------------------------------------------------------------------------------


def test_a_paused_workflow_is_no_error(made, pass_time, workflow):
    schedule = made()
    Workflow.objects.filter(pk=workflow.pk).update(status="paused")
    pass_time(600, step=60)
    assert set(ledger(schedule["id"])) == {("skipped", "workflow_paused")}
    assert stored(schedule["id"]).status == "active"
    Workflow.objects.filter(pk=workflow.pk).update(status="active")
    pass_time(60)
    assert len(runs_of(schedule["id"])) == 1


def corrupt_cron(schedule):
    Schedule.objects.filter(pk=schedule["id"]).update(cron="not at all")


def corrupt_zone(schedule):
    Schedule.objects.filter(pk=schedule["id"]).update(timezone="Mars/Olympus")


def archive_workflow(schedule):
    Workflow.objects.filter(pk=schedule["workflow_id"]).update(status="archived")


def archive_project(schedule):
    Project.objects.filter(pk=schedule["project_id"]).update(status="archived")


def unfit_inputs(schedule):
    workflow = Workflow.objects.get(pk=schedule["workflow_id"])
    schema = {"type": "object", "required": ["day"]}
    factories.make_version(workflow=workflow, version=2, definition={**factories.DEFINITION, "input_schema": schema})
    Workflow.objects.filter(pk=workflow.pk).update(version=2)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (corrupt_cron, "unreadable"),
        (corrupt_zone, "unreadable"),
        (archive_workflow, "workflow_archived"),
        (archive_project, "project_archived"),
        (unfit_inputs, "invalid_inputs"),
    ],
)
def test_a_bad_row_is_put_aside_and_the_others_go_on(client, made, pass_time, project, spoil, code):
    bad = made(cron="* * * * *")
    other = factories.make_project()
    good = factories.make_schedule(workflow=factories.make_workflow(project=other), overlap="allow")
    spoil(bad)
    pass_time(300, step=10)
    row = stored(bad["id"])
    assert (row.status, row.error_count, row.error["code"], row.next_run_at) == ("quarantined", 3, code, None)
    assert runs_of(bad["id"]) == []
    assert "rejected" in {decision for decision, _ in ledger(bad["id"])}
    assert not PeriodicTask.objects.get(pk=row.periodic_task_id).enabled
    assert len(runs_of(good.pk)) == 5


def test_who_corrects_it_lets_it_go_on(client, made, pass_time):
    schedule = made(cron="* * * * *")
    path = f"/v1/schedules/{schedule['id']}"
    corrupt_cron(schedule)
    pass_time(300, step=10)
    shown = client.get(path).expect(200).data
    assert (shown["status"], shown["error"]["code"]) == ("quarantined", "unreadable")
    assert "not at all" in shown["error"]["message"].lower() or "five fields" in shown["error"]["message"]
    client.post(f"{path}:resume", {}).expect(409)
    assert client.post(f"{path}:pause", {}).expect(200).data["error"] == shown["error"]
    client.patch(path, {"enabled": True}).expect(422)
    client.get(f"{path}/preview").expect(409)
    assert client.patch(path, {"cron": "* * * * *", "enabled": True}).expect(200).data["status"] == "active"
    pass_time(60)
    assert len(runs_of(schedule["id"])) == 1


def test_fifty_bad_rows_stop_nobody(project, pass_time):
    workflow = factories.make_workflow(project=project)
    for _ in range(50):
        factories.make_schedule(workflow=workflow, cron="nonsense")
    good = factories.make_schedule(workflow=workflow, overlap="allow")
    pass_time(180, step=30)
    assert len(runs_of(good.pk)) == 3
    assert Schedule.objects.filter(quarantined_at__isnull=False).count() == 50


def test_one_error_is_forgiven_by_a_run(made, pass_time):
    schedule = made(cron="* * * * *", overlap="allow")
    corrupt_cron(schedule)
    pass_time(61)
    assert stored(schedule["id"]).error_count == 1
    Schedule.objects.filter(pk=schedule["id"]).update(cron="* * * * *")
    pass_time(60, step=10)
    assert (stored(schedule["id"]).error_count, stored(schedule["id"]).error) == (0, None)


def test_a_fault_of_the_database_is_nobodys(made, frozen_clock, monkeypatch):
    schedule = made()
    frozen_clock.advance(60)

    def away(*_args, **_kwargs):
        raise firing.OperationalError("away")

    with monkeypatch.context() as patch:
        patch.setattr(firing, "record_decisions", away)
        with pytest.raises(firing.OperationalError):
            firing.fire(schedule["id"], clock.now())
        clockwork.run_once(clock.now())  # one is passed over
    assert stored(schedule["id"]).error_count == 0
    assert runs_of(schedule["id"]) == []  # rolled back with the rest
    clockwork.run_once(clock.now())
    assert len(runs_of(schedule["id"])) == 1


def test_it_gives_up_where_the_database_is_away(project, frozen_clock, monkeypatch):
    workflow = factories.make_workflow(project=project)
    for _ in range(5):
        factories.make_schedule(workflow=workflow)
    frozen_clock.advance(60)
    tried = []

    def away(schedule_id, _now):
        tried.append(schedule_id)
        raise firing.OperationalError("away")

    monkeypatch.setattr(firing, "fire", away)
    with pytest.raises(firing.OperationalError):
        clockwork.run_once(clock.now())
    assert len(tried) == 3


def test_an_idle_look_writes_nothing(made, query_counter):
    made()
    with query_counter() as queries:
        clockwork.run_once(clock.now())
    assert len(queries) == 3
    assert all(query["sql"].startswith("SELECT") for query in queries.captured_queries)


def test_a_tick_costs_the_same_however_many_were_before(made, pass_time, query_counter, frozen_clock):
    made(overlap="allow")
    pass_time(60)
    frozen_clock.advance(60)
    with query_counter() as few:
        clockwork.run_once(clock.now())
    pass_time(600, step=60)
    frozen_clock.advance(60)
    with query_counter() as many:
        clockwork.run_once(clock.now())
    assert len(few) == len(many)
    assert len(few) <= 18
    assert Run.objects.count() == 13
