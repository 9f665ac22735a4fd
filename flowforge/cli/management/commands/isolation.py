"""`manage.py isolation`: which isolation levels this machine has, each tried."""

import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from flowforge.steps.isolation import complaint_of
from flowforge.steps.levels import AUTOMATIC, LEVELS


class Command(BaseCommand):
    help = "Try every level at which steps can be isolated, and say which one is used."

    def handle(self, *args: Any, **options: Any) -> None:
        settings.HOME.mkdir(mode=0o700, parents=True, exist_ok=True)
        working = [level for level in LEVELS if self._try(level)]
        wanted = settings.ISOLATION
        used = working[-1] if wanted == AUTOMATIC else wanted
        self.stdout.write(f"\nused: {used}" + ("" if wanted == AUTOMATIC else " (FLOWFORGE_ISOLATION)"))
        if used not in working:
            self.stderr.write(f"{used} does not work here: workers will not start")

    def _try(self, level: Any) -> bool:
        began = time.perf_counter()
        complaint = complaint_of(level, settings.HOME)
        spent = (time.perf_counter() - began) * 1000
        tried = f"works ({spent:.0f} ms)" if level != LEVELS[0] else "works"
        self.stdout.write(f"{level:<12}{tried if complaint is None else f'no: {complaint}'}")
        return complaint is None
