"""`/v1/schedules`: create, read, change, remove, pause and resume."""

import pytest
from django_celery_beat.models import PeriodicTask

from flowforge.schedules.models import Schedule
from tests import factories
from tests.apps.schedules.conftest import stored
from workflows.models import Workflow

SCHEDULE = {"name": "Mornings", "cron": "30 6 * * MON-FRI", "timezone": "Europe/Berlin"}


def test_it_works(client, workflow):
    answer = client.post("/v1/schedules", {"workflow_id": str(workflow.pk), **SCHEDULE}).expect(201)
    made = answer.data
    assert answer.headers["Location"] == f"/v1/schedules/{made['id']}"
    assert made == {
        **SCHEDULE,
        "id": made["id"],
        "project_id": str(workflow.project_id),
        "workflow_id": str(workflow.pk),
        "kind": "cron",
        "every": None,
        "at": None,
        "inputs": {},
        "overlap": "skip",
        "catch_up": "none",
        "catch_up_window": "1d",
        "jitter": "0s",
        "starts_at": None,
        "ends_at": None,
        "enabled": True,
        "status": "active",
        "next_run_at": "2026-01-02T05:30:00.000000Z",
        "last_run_at": None,
        "last_due_at": None,
        "error": None,
        "quarantined_at": None,
        "created_at": "2026-01-01T12:00:00.000000Z",
        "updated_at": "2026-01-01T12:00:00.000000Z",
    }
    read = client.get(f"/v1/schedules/{made['id']}").expect(200)
    assert read.data == made
    assert read.headers["ETag"] == answer.headers["ETag"]


@pytest.mark.parametrize(
    ("when", "kind", "next_run_at"),
    [
        ({"cron": "@hourly"}, "cron", "2026-01-01T13:00:00.000000Z"),
        ({"every": "90s"}, "interval", "2026-01-01T12:01:30.000000Z"),
        ({"every": 2}, "interval", "2026-01-01T12:00:02.000000Z"),
        ({"every": "1h", "starts_at": "2026-01-01T12:30:00Z"}, "interval", "2026-01-01T12:30:00.000000Z"),
        ({"at": "2026-02-01T00:00:00+01:00"}, "once", "2026-01-31T23:00:00.000000Z"),
        ({"at": "2026-07-01T12:00:00", "timezone": "Europe/Berlin"}, "once", "2026-07-01T10:00:00.000000Z"),
        (
            {"kind": "cron", "cron": "0 0 * * *", "starts_at": "2026-03-01T00:00:00Z"},
            "cron",
            "2026-03-01T00:00:00.000000Z",
        ),
    ],
)
def test_kinds(made, when, kind, next_run_at):
    found = made(**when)
    assert (found["kind"], found["next_run_at"]) == (kind, next_run_at)


@pytest.mark.parametrize(
    ("wrong", "pointer", "code"),
    [
        ({}, "/kind", "required"),
        ({"cron": "@daily", "every": "1m"}, "/kind", "required"),
        ({"kind": "cron"}, "/cron", "required"),
        ({"kind": "interval", "every": "1m", "cron": "@daily"}, "/cron", "contradiction"),
        ({"kind": "monthly", "cron": "@daily"}, "/kind", "invalid_choice"),
        ({"cron": "* * * * * *"}, "/cron", "invalid"),
        ({"cron": "@reboot"}, "/cron", "invalid"),
        ({"cron": "@daily", "timezone": "Mars/Olympus"}, "/timezone", "invalid"),
        ({"every": "100ms"}, "/every", "min_value"),
        ({"every": "often"}, "/every", "invalid"),
        ({"every": True}, "/every", "invalid"),
        ({"at": "2025-12-31T00:00:00Z"}, "/at", "in_past"),
        ({"at": "tomorrow"}, "/at", "invalid"),
        ({"at": "2026-02-01"}, "/at", "invalid"),
        ({"at": 5}, "/at", "invalid"),
        ({"every": "1m", "overlap": "wait"}, "/overlap", "invalid_choice"),
        ({"every": "1m", "catch_up": "some"}, "/catch_up", "invalid_choice"),
        ({"every": "1m", "catch_up_window": "32d"}, "/catch_up_window", "max_value"),
        ({"every": "1m", "catch_up_window": "0s"}, "/catch_up_window", "max_value"),
        ({"every": "1m", "jitter": "2m"}, "/jitter", "max_value"),
        ({"cron": "@daily", "jitter": "61m"}, "/jitter", "max_value"),
        (
            {"every": "1m", "starts_at": "2026-03-01T00:00:00Z", "ends_at": "2026-02-01T00:00:00Z"},
            "/ends_at",
            "before_start",
        ),
        ({"cron": "@daily", "ends_at": "2026-01-01T00:00:00Z"}, "/ends_at", "in_past"),
        ({"every": "1m", "inputs": []}, "/inputs", "not_a_dict"),
        ({"every": "1m", "interval": "1m"}, "/interval", "unknown_field"),
        ({"every": "1m", "workflow_id": factories.unknown_id()}, "/workflow_id", "not_found"),
        ({"every": "1m", "workflow_id": "x"}, "/workflow_id", "invalid"),
        ({"every": "1m", "project_id": factories.unknown_id()}, "/project_id", "not_found"),
        ({"every": "1m", "name": ""}, "/name", "blank"),
        ({"every": "1m", "enabled": "yes"}, "/enabled", "invalid"),
    ],
)
def test_it_rejects_what_makes_no_sense(client, workflow, wrong, pointer, code):
    body = {"workflow_id": str(workflow.pk), "name": "Wrong", **wrong}
    assert client.post("/v1/schedules", body).expect(422).pointers[pointer] == code
    assert not Schedule.objects.exists()
    assert not PeriodicTask.objects.exists()


def test_it_rejects_inputs_that_the_workflow_does_not_take(client, project):
    schema = {"type": "object", "required": ["day"], "properties": {"day": {"type": "integer"}}}
    workflow = factories.make_workflow(project=project, definition={**factories.DEFINITION, "input_schema": schema})
    body = {"workflow_id": str(workflow.pk), "name": "x", "every": "1m", "inputs": {"day": "monday"}}
    assert "/inputs/day" in client.post("/v1/schedules", body).expect(422).pointers
    client.post("/v1/schedules", {**body, "inputs": {"day": 1}}).expect(201)


def test_it_rejects_archived_workflows_and_projects(client, project, workflow):
    Workflow.objects.filter(pk=workflow.pk).update(status="archived")
    client.post("/v1/schedules", {"workflow_id": str(workflow.pk), **SCHEDULE}).expect(409)


def test_an_idempotency_key_makes_one(client, workflow):
    body, headers = {"workflow_id": str(workflow.pk), **SCHEDULE}, {"Idempotency-Key": "k"}
    first, second = (client.post("/v1/schedules", body, headers=headers).expect(201) for _ in range(2))
    assert first.data["id"] == second.data["id"]
    assert second.headers["Idempotent-Replayed"] == "true"
    assert Schedule.objects.count() == 1


def test_it_is_nested_below_its_project(client, workflow, project, other_project):
    body = {"workflow_id": str(workflow.pk), **SCHEDULE}
    made = client.post(f"/v1/projects/{project.pk}/schedules", body).expect(201).data
    assert [row["id"] for row in client.get(f"/v1/projects/{project.pk}/schedules").expect(200).data] == [made["id"]]
    client.get(f"/v1/projects/{other_project.pk}/schedules").expect(404)
    client.post(f"/v1/projects/{other_project.pk}/schedules", body).expect(404)


def test_lists_and_filters(client, made, project, query_counter):
    other = factories.make_workflow(project=project)
    ids = [made(name=f"Number {n}", **when)["id"] for n, when in enumerate([{"every": "1m"}, {"cron": "@daily"}])]
    ids.append(made(workflow_id=str(other.pk), enabled=False)["id"])
    assert [row["id"] for row in client.get("/v1/schedules").expect(200).data] == ids[::-1]
    for query, wanted in [
        ({"workflow_id": str(other.pk)}, ids[2:]),
        ({"project_id": str(project.pk)}, ids[::-1]),
        ({"kind": "cron"}, [ids[1]]),
        ({"enabled": "false"}, [ids[2]]),
        ({"name": "number 0"}, [ids[0]]),
    ]:
        assert [row["id"] for row in client.get("/v1/schedules", **query).expect(200).data] == wanted, query
    for wrong in ({"kind": "x"}, {"enabled": "1"}, {"what": "x"}, {"workflow_id": "x"}):
        client.get("/v1/schedules", **wrong).expect(400)
    with query_counter() as few:
        client.get("/v1/schedules", limit=1)
    for _ in range(5):
        made()
    with query_counter() as many:
        client.get("/v1/schedules", limit=8)
    assert len(few) == len(many)


def test_a_change_of_time_begins_anew(client, made, frozen_clock):
    schedule = made(cron="@daily")
    frozen_clock.advance(86_400 * 3)
    changed = client.patch(f"/v1/schedules/{schedule['id']}", {"cron": "@hourly"}).expect(200).data
    assert changed["next_run_at"] == "2026-01-04T13:00:00.000000Z"
    assert client.patch(f"/v1/schedules/{schedule['id']}", {"name": "New"}).expect(200).data == {
        **changed,
        "name": "New",
        "updated_at": changed["updated_at"],
    }


def test_a_change_of_kind_clears_the_other(client, made):
    schedule = made(cron="@daily")
    changed = client.patch(f"/v1/schedules/{schedule['id']}", {"every": "5m"}).expect(200).data
    assert (changed["kind"], changed["cron"], changed["every"]) == ("interval", None, "5m")
    assert changed["next_run_at"] == "2026-01-01T12:05:00.000000Z"
    client.patch(f"/v1/schedules/{schedule['id']}", {"kind": "once"}).expect(422)


def test_a_tag_names_what_people_edit(client, made, pass_time):
    path = f"/v1/schedules/{made()['id']}"
    tag = client.get(path).headers["ETag"]
    client.get(path, headers={"If-None-Match": tag}).expect(304)
    pass_time(60)
    client.get(path, headers={"If-None-Match": tag}).expect(200)  # it has ticked
    client.patch(path, {"name": "Ours"}, headers={"If-Match": tag}).expect(200)  # which does not keep anyone from that
    client.patch(path, {"name": "Theirs"}, headers={"If-Match": tag}).expect(412)
    client.delete(path, headers={"If-Match": tag}).expect(412)
    assert client.get(path).data["name"] == "Ours"


def test_it_is_paused_and_resumed(client, made, pass_time):
    path = f"/v1/schedules/{made()['id']}"
    for _ in range(2):
        paused = client.post(f"{path}:pause", {}).expect(200).data
        assert (paused["enabled"], paused["status"], paused["next_run_at"]) == (False, "paused", None)
    pass_time(600)
    for _ in range(2):
        resumed = client.post(f"{path}:resume", {}).expect(200).data
        assert (resumed["status"], resumed["next_run_at"]) == ("active", "2026-01-01T12:11:00.000000Z")
    assert client.get(f"{path}/decisions").data == []  # what it was due meanwhile is not made up for


def test_it_is_removed(client, made):
    schedule = made()
    client.delete(f"/v1/schedules/{schedule['id']}").expect(204)
    client.get(f"/v1/schedules/{schedule['id']}").expect(404)
    assert not PeriodicTask.objects.exists()


def test_each_has_its_row_of_beat(client, made):
    schedule = made(every="90s")
    task = PeriodicTask.objects.get()
    assert stored(schedule["id"]).periodic_task == task
    assert (task.task, task.args, task.enabled) == ("schedules.tick", f'["{schedule["id"]}"]', True)
    assert (task.interval.every, task.interval.period) == (90, "seconds")
    client.post(f"/v1/schedules/{schedule['id']}:pause", {}).expect(200)
    assert not PeriodicTask.objects.get().enabled
    client.patch(f"/v1/schedules/{schedule['id']}", {"enabled": True, "every": "2m"}).expect(200)
    task = PeriodicTask.objects.get()
    assert (task.enabled, task.interval.every) == (True, 120)
