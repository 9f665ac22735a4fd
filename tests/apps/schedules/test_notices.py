"""What nobody would see is told: due times that were missed, schedules that were put aside."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from flowforge.core import clock
from flowforge.core.jsonschema import compile_schema
from flowforge.events.models import Event
from flowforge.events.outbound import TOLD
from flowforge.insights.health import health
from flowforge.schedules import clockwork
from flowforge.schedules.models import Schedule
from flowforge.schedules.services import notices
from runs.services.publishing import resume_matching
from tests import factories
from tests.apps.schedules.conftest import runs_of, stored

pytestmark = pytest.mark.django_db
HOUR = 3600


def told(name: str = "schedule.missed") -> list[Any]:
    rows = Event.objects.filter(name=name).order_by("created_at", "id")
    assert [compile_schema(TOLD[name].schema).faults(row.payload) for row in rows] == [[]] * len(rows)
    return [row.payload for row in rows]


@pytest.mark.parametrize("catch_up", ["none", "last", "all"])
def test_it_works(made, pass_time, catch_up):
    schedule = made(catch_up=catch_up, overlap="allow")
    pass_time(120, step=60)
    assert told() == []
    due_at = clock.now() + timedelta(minutes=1)
    pass_time(2 * HOUR, looking=False)
    pass_time(120, step=2)  # of `all`, several helpings
    [payload] = told()
    assert (payload["schedule_id"], payload["due_at"]) == (schedule["id"], clock.isoformat(due_at))
    assert (payload["name"], payload["catch_up"]) == ("Mine", catch_up)


def test_each_outage_is_told_of(made, pass_time):
    made()
    for count in (1, 2):
        pass_time(HOUR, looking=False)
        pass_time(180, step=30)
        assert len(told()) == count


def test_what_is_out_of_the_window_is_told_of(made, pass_time):
    made(catch_up="all", catch_up_window="10s", overlap="allow")
    pass_time(HOUR, looking=False)
    pass_time(1)
    assert len(told()) == 1


def test_where_nobody_fires_others_notice(made, pass_time, frozen_clock):
    schedule = made()
    frozen_clock.advance(60 + 59)
    assert notices.run_once(clock.now()) == 0
    frozen_clock.advance(2)
    assert notices.run_once(clock.now()) == 1
    assert notices.run_once(clock.now()) == 0
    pass_time(60, step=1)  # they are back: it is told already
    assert len(told()) == 1
    assert len(runs_of(schedule["id"])) == 1


def test_an_outage_that_was_noticed_is_told_once_though_it_goes_on(made, pass_time, frozen_clock):
    made(catch_up="all", overlap="allow")
    frozen_clock.advance(300)
    assert notices.run_once(clock.now()) == 1
    frozen_clock.advance(3 * HOUR)
    pass_time(30, step=1)
    assert len(told()) == 1


def test_what_rests_is_not_overdue(client, made, frozen_clock):
    schedule = made()
    client.post(f"/v1/schedules/{schedule['id']}:pause", {}).expect(200)
    frozen_clock.advance(HOUR)
    assert notices.run_once(clock.now()) == 0


def test_one_that_is_put_aside_is_told_of_once(made, pass_time):
    schedule = made(cron="* * * * *")
    Schedule.objects.filter(pk=schedule["id"]).update(cron="not at all")
    pass_time(300, step=10)
    [payload] = told("schedule.quarantined")
    assert (payload["schedule_id"], payload["code"]) == (schedule["id"], "unreadable")
    assert stored(schedule["id"]).status == "quarantined"


def test_one_whose_workflow_is_archived_is_told_of(made, pass_time, workflow):
    made(cron="* * * * *")
    type(workflow).objects.filter(pk=workflow.pk).update(status="archived")
    pass_time(300, step=10)
    assert [payload["code"] for payload in told("schedule.quarantined")] == ["workflow_archived"]


def test_an_outage_starts_what_asks_for_it(made, pass_time, project, frozen_clock):
    other = factories.make_workflow(project=project)
    factories.make_event_trigger(workflow=other, event="schedule.*")
    made()
    pass_time(HOUR, looking=False)
    pass_time(1)
    event = Event.objects.get(name="schedule.missed")
    frozen_clock.advance(11)
    assert resume_matching(clock.now()) == 1
    event.refresh_from_db()
    assert event.started_count == 1


def test_health_shows_what_is_overdue(made, frozen_clock):
    factories.make_worker(
        swept_at=clock.now() + timedelta(seconds=300), heartbeat_at=clock.now() + timedelta(seconds=300)
    )
    made()
    frozen_clock.advance(300)
    [scheduler] = [part for part in health().components if part.name == "Scheduler"]
    assert (scheduler.status, scheduler.detail.partition(".")[0]) == ("DEGRADED", "Schedules that are overdue: 1")
    clockwork.run_once(clock.now())
    [scheduler] = [part for part in health().components if part.name == "Scheduler"]
    assert scheduler.status == "HEALTHY"


@pytest.mark.django_db(transaction=True)
def test_of_many_who_notice_one_tells(made, frozen_clock):
    made()
    frozen_clock.advance(300)
    now, counts = clock.now(), []
    barrier = threading.Barrier(5)

    def look() -> None:
        try:
            barrier.wait()
            counts.append(notices.run_once(now))
        finally:
            connection.close()

    threads = [threading.Thread(target=look) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counts) == [0, 0, 0, 0, 1]
    assert len(told()) == 1
