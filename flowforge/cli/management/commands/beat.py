"""`manage.py beat`: the scheduler of a production set-up. Several at once do no harm."""

from typing import Any

from celery.apps.beat import Beat
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from flowforge.celery import app
from flowforge.schedules.services import bells

SWEEP_EVERY_SECONDS = 5


class Command(BaseCommand):
    help = "Ring the periodic hints from the database's schedules."

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.EMBEDDED:
            raise CommandError("BROKER_URL is not set: an in-process broker reaches no worker. Use `manage.py up`.")
        every, _ = IntervalSchedule.objects.get_or_create(every=SWEEP_EVERY_SECONDS, period=IntervalSchedule.SECONDS)
        PeriodicTask.objects.update_or_create(
            name="flowforge: sweep",
            defaults={"task": "flowforge.engine.sweep", "interval": every, "queue": "control", "expire_seconds": 5},
        )
        bells.mend()
        Beat(app=app, scheduler_cls=settings.CELERY_BEAT_SCHEDULER, loglevel="WARNING", quiet=True).run()
