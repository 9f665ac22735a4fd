"""Schedules in the admin."""

import pytest
from django.test import Client
from django_celery_beat.models import PeriodicTask

from flowforge.schedules.models import Backfill, Schedule
from tests import factories
from tests.apps.schedules.conftest import runs_of, stored

URL = "/admin/schedules/schedule/"
CONFIRMED = {"confirmed": "yes", "_form_submitted": "True"}


@pytest.fixture
def admin(db: None) -> Client:
    client = Client()
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    return client


def test_it_works(admin, made, pass_time):
    schedule = made(name="Nightly", cron="*/5 * * * *", inputs={"region": "eu"})
    pass_time(300)
    listing = admin.get(URL, {"q": "night"}).content.decode()
    assert "Nightly" in listing
    assert "*/5 * * * *" in listing
    page = admin.get(f"{URL}{schedule['id']}/change/").content.decode()
    assert "on_time" in page
    assert "region" in page
    assert "2026-01-01 12:10:00" in page
    assert f"/admin/runs/run/{runs_of(schedule['id'])[0].pk}/change/" in page
    assert "Nightly" not in admin.get(URL, {"q": "daily"}).content.decode()


def test_commands_go_through_the_services(admin, made):
    schedule = made()
    chosen = {"_selected_action": [schedule["id"]]}
    admin.post(URL, {"action": "pause", **chosen})
    assert stored(schedule["id"]).status == "paused"
    admin.post(URL, {"action": "resume", **chosen})
    assert stored(schedule["id"]).status == "active"
    admin.post(URL, {"action": "trigger", **chosen})
    assert len(runs_of(schedule["id"])) == 1
    admin.post(URL, {"action": "remove", **chosen})
    assert Schedule.objects.count() == 1  # it asks first
    admin.post(URL, {"action": "remove", **chosen, **CONFIRMED})
    assert Schedule.objects.count() == 0


def test_a_backfill_is_cancelled(admin, made):
    backfill = factories.make_backfill(schedule=stored(made()["id"]))
    chosen = {"_selected_action": [str(backfill.pk)]}
    admin.post("/admin/schedules/backfill/", {"action": "cancel", **chosen, **CONFIRMED})
    assert Backfill.objects.get().status == "cancelled"


def test_a_corrupted_row_has_its_page(admin, made):
    schedule = made(cron="@daily")
    Schedule.objects.update(cron="nonsense")
    page = admin.get(f"{URL}{schedule['id']}/change/").content.decode()
    assert "nobody can say" in page


def test_beats_rows_are_to_look_at(admin, made):
    made(name="Nightly")
    url = "/admin/django_celery_beat/periodictask/"
    assert "schedules.tick" in admin.get(url, {"q": "nightly"}).content.decode()
    task = PeriodicTask.objects.get()
    assert "schedules.tick" in admin.get(f"{url}{task.pk}/change/").content.decode()
    for path in (f"{url}add/", f"{url}{task.pk}/change/"):
        assert admin.post(path, {"name": "x", "task": "x"}).status_code == 403
    assert admin.get("/admin/django_celery_beat/crontabschedule/").status_code == 404
