"""`manage.py work`: a worker process."""

import signal
import threading
from argparse import ArgumentParser
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from flowforge.cli.workers import Workers
from flowforge.engine import pools


class Command(BaseCommand):
    help = "Drive runs and do their steps, until SIGTERM: then what runs is finished or handed back."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--queues",
            default=",".join(pools.threads()),
            help="comma-separated, each with an optional number of threads: control=8,default=16,gpu=1",
        )

    def handle(self, *args: Any, queues: str, **options: Any) -> None:
        if settings.EMBEDDED:
            raise CommandError("BROKER_URL is not set: an in-process broker hears nobody. Use `manage.py up`.")
        stop = threading.Event()

        def on_signal(_number: int, _frame: FrameType | None) -> None:
            stop.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, on_signal)
        workers = Workers(_parse(queues))
        workers.start()
        self.stdout.write("working")
        self.stdout.flush()
        stop.wait()
        workers.stop(settings.DRAIN_SECONDS)
        workers.leave()


def _parse(text: str) -> dict[str, int]:
    """`control,gpu=1` -> threads by queue; a queue without a number has the default of its name, or 4."""
    found: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = part.partition("=")
        try:
            found[name] = int(number) if number else pools.threads().get(name, 4)
        except ValueError:
            raise CommandError(f"not a number of threads: {part}") from None
    if not found or min(found.values()) < 1:
        raise CommandError("name at least one queue, with at least one thread")
    return found
