"""`manage.py export_workflows [NAME…] [--project P] [--format yaml|json] [--to FOLDER]`: workflows as files."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import F, QuerySet

from flowforge.core.json import Json
from templates_app.selectors import names_of
from workflows.management.shared import find_project
from workflows.models import Workflow, WorkflowVersion
from workflows.services.files import exported, file_name, to_text


class Command(BaseCommand):
    help = "Write workflows as files, one each into --to, or one file of all to the standard output."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("names", nargs="*", help="which; all that are not archived if none is named")
        parser.add_argument("--project", help="id or name; needed where there are several")
        parser.add_argument("--format", choices=("yaml", "json"), default="yaml")
        parser.add_argument("--to", type=Path, help="a folder; made if it is not there")

    def handle(self, *args: Any, **options: Any) -> None:
        versions = list(_chosen(options["project"], options["names"]))
        missing = set(options["names"]) - {version.workflow.name for version in versions}
        if missing:
            raise CommandError(f"There is no workflow called {', '.join(sorted(missing))}.")
        if options["to"] is None:
            self.stdout.write(to_text({"definitions": [_entry(one) for one in versions]}, options["format"]))
            return
        for path, version in _paths(versions, options["to"], options["format"]):
            path.write_text(to_text(_entry(version), options["format"]), encoding="utf-8")
            self.stdout.write(str(path))


def _entry(version: WorkflowVersion) -> dict[str, Json]:
    return exported(version, names_of(version.workflow.project_id))


def _chosen(project: str | None, names: list[str]) -> QuerySet[WorkflowVersion]:
    current = WorkflowVersion.objects.filter(workflow__project=find_project(project), version=F("workflow__version"))
    if names:
        current = current.filter(workflow__name__in=names)
    else:
        current = current.exclude(workflow__status=Workflow.Status.ARCHIVED)
    return current.select_related("workflow").order_by("workflow__name", "workflow_id")


def _paths(versions: list[WorkflowVersion], folder: Path, file_format: str) -> list[tuple[Path, WorkflowVersion]]:
    """A path each; where names look alike as file names, the later ones are told apart by a number."""
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[Path, WorkflowVersion] = {}
    for version in versions:
        path = first = folder / file_name(version.workflow.name, file_format)
        number = 2
        while path in found:
            path, number = first.with_stem(f"{first.stem}-{number}"), number + 1
        found[path] = version
    return list(found.items())
