"""Installing workflows of the gallery into a project, with those that they start."""

import uuid
from typing import Final

from django.db import transaction
from django.db.models import F

from flowforge.api.caller import Caller
from flowforge.projects.models import Project
from workflows.constants import EMPTY_DEFINITION
from workflows.models import Workflow, WorkflowVersion
from workflows.services.definitions import Storable, allowed_types, blamed_on, check, definition_hash
from workflows.services.gallery import Item, item, slugs
from workflows.services.saving import Attributes, create_workflow

_INSTALLER: Final = "gallery"


@transaction.atomic
def install_item(*, slug: str, project: Project, name: str | None, caller: Caller) -> WorkflowVersion:
    """A new workflow of the project, at version 1; called `name`, or else by the slug with a number if that is taken.

    Of the workflows that it starts, those that the project has unaltered and active are used, the others installed.
    Raises NotFound (404), InvalidBody (422) where the project does not allow a step type, Conflict (409) in an
    archived project.
    """
    found = item(slug)
    Project.objects.select_for_update().get(pk=project.pk)  # two at once must not both take a name, or add a child
    return _create(found, _document(found, project, caller), name, project, caller)


@transaction.atomic
def install_gallery(*, project_id: uuid.UUID | str) -> list[WorkflowVersion]:
    """Give a project what it lacks of the gallery, as far as it allows the step types.

    A workflow of such a name is its own by now and stays as it is, whatever has become of it.
    """
    project = Project.objects.select_for_update().get(pk=project_id)
    there = set(Workflow.objects.filter(project=project, name__in=slugs()).values_list("name", flat=True))
    missing = [item(slug) for slug in slugs() if slug not in there]
    if not missing:
        return []
    caller = Caller(kind="system", id=_INSTALLER, name=_INSTALLER, grants={project.pk: frozenset({"workflows:write"})})
    allowed = allowed_types(project)
    return [
        _create(found, _document(found, project, caller), None, project, caller)
        for found in sorted(missing, key=lambda found: found.depth)  # those that others start come first
        if allowed.issuperset(found.step_types)
    ]


def _create(found: Item, document: Storable, name: str | None, project: Project, caller: Caller) -> WorkflowVersion:
    attributes = Attributes(
        name=name or _free_name(project, found.slug), description=found.description, tags=found.tags
    )
    return create_workflow(project=project, attributes=attributes, document=document, caller=caller)


def _document(found: Item, project: Project, caller: Caller) -> Storable:
    """The item's definition with the ids of this project's workflows in it. Raises InvalidBody (422)."""
    ids = {slug: str(_child(item(slug), project, caller)) for slug in found.installs}
    checked = check(found.wired(ids).over(EMPTY_DEFINITION), project)
    if checked.storable is None:
        raise blamed_on("/project_id", checked.errors)
    return checked.storable


def _child(found: Item, project: Project, caller: Caller) -> uuid.UUID:
    """The oldest active workflow that does what the item does to the letter, or a new one."""
    document = _document(found, project, caller)
    active = Workflow.objects.filter(project=project, status=Workflow.Status.ACTIVE)
    same = active.filter(versions__version=F("version"), versions__definition_hash=definition_hash(document.document))
    existing = same.order_by("created_at", "id").values_list("id", flat=True).first()
    return existing or _create(found, document, None, project, caller).workflow_id


def _free_name(project: Project, slug: str) -> str:
    taken = set(Workflow.objects.filter(project=project, name__startswith=slug).values_list("name", flat=True))
    number = 1
    while (name := slug if number == 1 else f"{slug} ({number})") in taken:
        number += 1
    return name
