"""django-celery-beat: its rows ring when schedules are due, whatever becomes of the rows."""

from datetime import timedelta

import pytest
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from flowforge.celery import app
from flowforge.core import clock
from flowforge.kernel.schedules import Cron, Interval, Once, Recurrence
from flowforge.schedules.beat import DueTimes, Entry, Scheduler
from flowforge.schedules.models import Schedule
from flowforge.schedules.services import bells
from tests.apps.schedules.conftest import moment, runs_of, stored


def test_it_works(made):
    schedule = made(every="90s")
    [row] = Scheduler(app=app, lazy=True).enabled_models()
    entry = Entry(row, app=app)
    assert (entry.task, entry.args) == ("schedules.tick", [schedule["id"]])
    assert entry.options["queue"] == "control"
    is_due, seconds = entry.schedule.is_due(clock.now())
    assert (is_due, seconds) == (False, 90.0)


@pytest.mark.parametrize(
    ("pattern", "ago", "expected"),
    [
        (Interval(every=timedelta(minutes=1), anchor=moment("2026-01-01T00:00:00+00:00")), 0, (False, 60.0)),
        (Interval(every=timedelta(minutes=1), anchor=moment("2026-01-01T00:00:00+00:00")), 90, (True, 60.0)),
        (Interval(every=timedelta(minutes=1), anchor=moment("2026-01-01T00:00:00+00:00")), 9000, (True, 60.0)),
        (Cron.parse("30 12 * * *"), 30, (False, 1800.0)),
        (Once(at=moment("2026-01-01T11:59:50+00:00")), 30, (True, 60.0)),
        (Once(at=moment("2026-01-01T11:59:50+00:00")), 5, (False, 60.0)),
    ],
)
def test_it_rings_at_the_due_times_themselves(pattern, ago, expected):
    """Asked when it has rung `ago` seconds before noon."""
    found = DueTimes(Recurrence(pattern=pattern)).is_due(clock.now() - timedelta(seconds=ago))
    assert tuple(found) == expected


def test_equal_due_times_are_equal():
    """Beat compares, to see whether it has to sort anew."""
    one, same, other = (DueTimes(Recurrence(pattern=Cron.parse(text))) for text in ("@daily", "0 0 * * *", "@hourly"))
    assert one == same
    assert one != other


def test_reading_many_costs_as_much_as_reading_one(made, query_counter):
    def read():
        with query_counter() as queries:
            rows = [Entry(row, app=app) for row in Scheduler(app=app, lazy=True).enabled_models()]
        assert all(isinstance(row.schedule, DueTimes) for row in rows)
        return len(rows), len(queries)

    made()
    one, few = read()
    for _ in range(5):
        made()
    six, many = read()
    assert (one, six) == (1, 6)
    assert few == many


def test_a_corrupted_row_stops_no_beat(made, caplog):
    schedule = made(cron="@daily")
    Schedule.objects.filter(pk=schedule["id"]).update(cron="nonsense")
    [row] = Scheduler(app=app, lazy=True).enabled_models()
    assert not isinstance(Entry(row, app=app).schedule, DueTimes)
    assert "five fields" in caplog.text


def test_rows_of_others_are_left_alone(db):
    every = IntervalSchedule.objects.create(every=5, period="seconds")
    PeriodicTask.objects.create(name="theirs", task="x", interval=every)
    [row] = Scheduler(app=app, lazy=True).enabled_models()
    assert not isinstance(Entry(row, app=app).schedule, DueTimes)


def test_a_deleted_row_is_hung_anew(made, pass_time):
    schedule = made(overlap="allow")
    PeriodicTask.objects.all().delete()
    pass_time(60)
    assert len(runs_of(schedule["id"])) == 1  # nothing depends on it
    assert bells.mend() == 1
    assert bells.mend() == 0
    assert stored(schedule["id"]).periodic_task == PeriodicTask.objects.get()


def test_bells_of_bad_rows_are_hung_as_well(made):
    schedule = made(every="5m")
    Schedule.objects.filter(pk=schedule["id"]).update(every="nonsense")
    PeriodicTask.objects.all().delete()
    assert bells.mend() == 1
    assert PeriodicTask.objects.get().interval.every == bells.MINUTE
