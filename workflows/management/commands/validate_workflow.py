"""`manage.py validate_workflow FILE… [--project P]`: what is wrong with the definitions in files; stores nothing."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from workflows.management.shared import find_project, read_file, told
from workflows.services.importing import examine


class Command(BaseCommand):
    help = "Check the definitions in files; fails if anything is wrong with one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, help="YAML or JSON, as export_workflows writes them")
        parser.add_argument("--project", help="id or name of the project whose step types hold")

    def handle(self, *args: Any, **options: Any) -> None:
        project = find_project(options["project"])
        wrong: list[str] = []
        for path in options["files"]:
            found = [examine(entry, project) for entry in read_file(path)]
            warnings = [fault for one in found for fault in one.warnings]
            errors = [fault for one in found for fault in one.errors]
            if warnings:
                self.stdout.write(f"warnings:\n{told(path, warnings)}")
            if errors:
                wrong.append(told(path, errors))
            else:
                self.stdout.write(f"{path}: {len(found)} valid")
        if wrong:
            raise CommandError("\n".join(wrong))
