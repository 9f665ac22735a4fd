"""`manage.py schedules`: what there is, what each does next, and a hand for operators."""

import uuid
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from flowforge.core import clock
from flowforge.core.errors import FlowForgeError
from flowforge.schedules.models import Schedule
from flowforge.schedules.services import bells
from flowforge.schedules.services.manual import trigger_schedule
from flowforge.schedules.services.saving import pause_schedule, resume_schedule

LISTED = 200
ACTIONS: dict[str, Callable[[uuid.UUID], object]] = {
    "pause": lambda key: pause_schedule(schedule_id=key),
    "resume": lambda key: resume_schedule(schedule_id=key),
    "trigger": lambda key: trigger_schedule(schedule_id=key, actor="system:command"),
}


class Command(BaseCommand):
    help = "List schedules; pause, resume or trigger one; mend the rows of beat."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", nargs="?", default="list", choices=["list", "mend", *ACTIONS])
        parser.add_argument("id", nargs="?", help="of the schedule")

    def handle(self, *args: Any, action: str, id: str | None, **options: Any) -> None:
        if action == "list":
            self._list()
        elif action == "mend":
            self.stdout.write(f"{bells.mend()} rows of beat made anew")
        else:
            self._steer(action, id)

    def _list(self) -> None:
        for row in Schedule.objects.select_related("workflow", "project").order_by("next_run_at", "id")[:LISTED]:
            when = row.cron or row.every or clock.isoformat(row.at)
            coming = clock.isoformat(row.next_run_at) or "–"
            self.stdout.write(
                f"{row.pk}  {row.status:<11}  {coming:<27}  {when}  {row.project} / {row.workflow}: {row}"
            )

    def _steer(self, action: str, key: str | None) -> None:
        try:
            schedule_id = uuid.UUID(key or "")
        except ValueError:
            raise CommandError(f"{action} needs the id of a schedule") from None
        if not Schedule.objects.filter(pk=schedule_id).exists():
            raise CommandError(f"There is no schedule {schedule_id}.")
        try:
            ACTIONS[action](schedule_id)
        except FlowForgeError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{schedule_id}: {action} done")
