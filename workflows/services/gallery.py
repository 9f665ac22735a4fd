"""The gallery: whole workflows that ship with FlowForge, as files beside this app (workflows/gallery/*.yaml)."""

import uuid
from functools import lru_cache
from pathlib import Path

from flowforge.api.caller import Caller
from flowforge.projects.models import Project
from workflows.models import Workflow
from workflows.services import yaml_text
from workflows.services.files import Entry, entries
from workflows.services.importing import Imported, import_workflows

_FOLDER = Path(__file__).resolve().parent.parent / "gallery"
_INSTALLER = "gallery"


@lru_cache(maxsize=1)
def gallery() -> tuple[Entry, ...]:
    """The workflows of the gallery, by file name."""
    return tuple(
        entry for path in sorted(_FOLDER.glob("*.yaml")) for entry in entries(yaml_text.load(path.read_bytes()))
    )


def install_gallery(*, project_id: uuid.UUID | str) -> list[Imported]:
    """Give a project what it lacks of the gallery; a workflow of such a name is its own by now and stays as it is."""
    project = Project.objects.get(pk=project_id)
    names = [entry.body["name"] for entry in gallery()]
    there = set(Workflow.objects.filter(project=project, name__in=names).values_list("name", flat=True))
    missing = [entry for entry in gallery() if entry.body["name"] not in there]
    caller = Caller(kind="system", id=_INSTALLER, name=_INSTALLER, grants={project.pk: frozenset({"workflows:write"})})
    return import_workflows(project=project, entries=missing, caller=caller)
