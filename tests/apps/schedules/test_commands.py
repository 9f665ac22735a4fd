"""`manage.py schedules`."""

import pytest
from django.core.management import CommandError, call_command
from django_celery_beat.models import PeriodicTask

from runs.models import Run
from tests.apps.schedules.conftest import stored


def test_it_works(made, capsys):
    schedule = made(cron="@daily", name="Nightly")
    call_command("schedules")
    line = capsys.readouterr().out
    assert schedule["id"] in line
    assert "active" in line
    assert "2026-01-02T00:00:00.000000Z" in line
    assert "Nightly" in line


def test_steering(made, capsys):
    schedule = made()
    call_command("schedules", "pause", schedule["id"])
    assert stored(schedule["id"]).status == "paused"
    call_command("schedules", "resume", schedule["id"])
    assert stored(schedule["id"]).status == "active"
    call_command("schedules", "trigger", schedule["id"])
    assert Run.objects.get().created_by == "system:command"
    PeriodicTask.objects.all().delete()
    call_command("schedules", "mend")
    assert "1 rows" in capsys.readouterr().out


@pytest.mark.parametrize("key", [None, "x", "01981f5e-0000-7000-8000-000000000009"])
def test_it_rejects_what_is_no_schedule(db, key):
    with pytest.raises(CommandError):
        call_command("schedules", "pause", *filter(None, [key]))
