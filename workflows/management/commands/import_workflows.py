"""`manage.py import_workflows FILE… [--project P]`: create or update workflows from YAML or JSON files."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from flowforge.core.errors import InvalidBody
from workflows.management.shared import SYSTEM, find_project, read_file, told
from workflows.services.importing import import_workflows


class Command(BaseCommand):
    help = "Create or update a project's workflows from files, matched by name; each file all or nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, help="YAML or JSON, as export_workflows writes them")
        parser.add_argument("--project", help="id or name; needed where there are several")

    def handle(self, *args: Any, **options: Any) -> None:
        project = find_project(options["project"])
        for path in options["files"]:
            try:
                found = import_workflows(project=project, entries=read_file(path), caller=SYSTEM)
            except InvalidBody as error:
                raise CommandError(told(path, error.faults)) from error
            for one in found:
                self.stdout.write(f"{one.action} {one.version.workflow.name} (version {one.version.version})")
