"""`manage.py serve`: the web server of a production set-up; workers and beat are processes of their own."""

from argparse import ArgumentParser
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from flowforge.cli.web import Server, config


class Command(BaseCommand):
    help = "Serve the API and the admin on HOST and PORT."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workers", type=int, default=1, help="web processes")

    def handle(self, *args: Any, workers: int, **options: Any) -> None:
        if settings.EMBEDDED:
            raise CommandError("BROKER_URL is not set: an in-process broker reaches no worker. Use `manage.py up`.")
        if workers == 1:
            Server(config()).run()
            return
        uvicorn.run(
            "flowforge.asgi:application",
            host=settings.HOST,
            port=settings.PORT,
            workers=workers,
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
        )
