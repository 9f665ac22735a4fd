"""`manage.py up`: the whole service as one process. `make run` and `make demo` are this command."""

import io
import signal
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from flowforge.cli.demo import DemoFailed, run_demo
from flowforge.cli.embedded import Access, Embedded, StartFailed


class Command(BaseCommand):
    help = "Set up what is missing, run a gallery workflow, and serve until Ctrl-C: everything as one process."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--demo", action="store_true", help="end after the demonstration: 0 if the run completed")
        parser.add_argument("--quiet", action="store_true", help="serve without the demonstration")

    def handle(self, *args: Any, demo: bool, quiet: bool, **options: Any) -> None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)  # into a file or a pipe, too, as it comes
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # until it serves, as Ctrl-C: KeyboardInterrupt
        embedded = Embedded()
        try:
            access = embedded.start()
            if not quiet:
                run_demo(access)
            self._show(access)
            if not demo:
                self.stdout.write("\nCtrl-C ends it.")
                self.stdout.flush()
                embedded.wait()
        except (DemoFailed, StartFailed) as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt:
            if demo:
                raise CommandError("interrupted") from None
        finally:
            embedded.stop()
        embedded.leave()

    def _show(self, access: Access) -> None:
        self.stdout.write(f"\nAPI     {access.url}/v1          docs {access.url}/v1/docs")
        self.stdout.write(f"key     {access.api_key}")
        self.stdout.write(f"admin   {access.url}/admin/      {access.admin_user} / {access.admin_password}")
