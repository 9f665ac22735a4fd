"""Reading workflows. Lists are rows of values, not model instances: they are made to be printed."""

import uuid
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from django.db.models import F, QuerySet, Value

from flowforge.api.caller import Caller
from flowforge.core.errors import NotFound
from flowforge.core.json import Json
from flowforge.kernel.definition import Definition
from flowforge.kernel.document import load
from flowforge.projects.scoping import get_visible
from workflows.constants import DEFINITION_CACHE_SIZE
from workflows.lookups import Member
from workflows.models import TemplateUse, Workflow, WorkflowVersion

LIST_FIELDS: Final = (
    *("id", "project_id", "name", "description", "status", "version", "tags"),
    *("created_at", "updated_at"),
)
USE_FIELDS: Final = (
    *("id", "created_at", "version__workflow_id", "version__workflow__name", "version__workflow__status"),
    *("version__version", "template_version", "node_ids"),
)
_CURRENT: Final = {"version__version": F("version__workflow__version")}
VERSION_FIELDS: Final = ("id", "version", "definition_hash", "created_by_id", "created_at")


def get_workflow(caller: Caller, workflow_id: uuid.UUID | str, scope: str) -> Workflow:
    """Raises NotFound (404) where the caller cannot see it, PermissionMissing (403) where the scope is missing."""
    return get_visible(Workflow.objects.all(), caller, workflow_id, scope)


def current_version(workflow_id: uuid.UUID, *, caller: Caller | None = None) -> WorkflowVersion:
    """The version that new runs take, with its workflow and project: one query.

    Raises NotFound; for a `caller`, also where it cannot see the workflow.
    """
    versions = WorkflowVersion.objects.all() if caller is None else WorkflowVersion.objects.visible_to(caller)
    found = (
        versions.select_related("workflow__project")
        .filter(workflow_id=workflow_id, version=F("workflow__version"))
        .first()
    )
    if found is None:
        raise NotFound
    return found


def callable_workflow(project_id: uuid.UUID, wanted: str) -> WorkflowVersion | None:
    """The current version of a project's workflow, by its id or by a name that it alone has; with its workflow."""
    versions = WorkflowVersion.objects.select_related("workflow").filter(
        workflow__project_id=project_id, version=F("workflow__version")
    )
    try:
        named = versions.filter(workflow_id=uuid.UUID(wanted))
    except ValueError:
        named = versions.filter(workflow__name=wanted)
    found = list(named[:2])
    return found[0] if len(found) == 1 else None


def get_version(workflow_id: uuid.UUID, number: int) -> WorkflowVersion:
    """Raises NotFound."""
    found = WorkflowVersion.objects.filter(workflow_id=workflow_id, version=number).first()
    if found is None:
        raise NotFound(detail=f"The workflow has no version {number}.")
    return found


def versions_of(workflow_id: uuid.UUID) -> QuerySet[WorkflowVersion, dict[str, Any]]:
    """All versions without their definitions, as values."""
    rows: QuerySet[WorkflowVersion, dict[str, Any]]
    rows = WorkflowVersion.objects.filter(workflow_id=workflow_id).values(*VERSION_FIELDS)
    return rows


def definitions_of(workflow_ids: Iterable[uuid.UUID]) -> Mapping[uuid.UUID, dict[str, Json]]:
    """Workflow -> the document of its current version, in one query."""
    return dict(_current(workflow_ids).values_list("workflow_id", "definition"))


def outputs_of(workflow_ids: Iterable[uuid.UUID]) -> Mapping[uuid.UUID, Json]:
    """Workflow -> what its current version says of a run's outputs, in one query."""
    output = Member(F("definition"), Value("output"))
    return dict(_current(workflow_ids).values_list("workflow_id", output))


def _current(workflow_ids: Iterable[uuid.UUID]) -> QuerySet[WorkflowVersion]:
    return WorkflowVersion.objects.filter(workflow_id__in=list(workflow_ids), version=F("workflow__version"))


@lru_cache(maxsize=DEFINITION_CACHE_SIZE)
def definition_of(version_id: uuid.UUID) -> Definition:
    """The parsed definition of a version. Kept in this process: versions never change. Raises NotFound."""
    row = WorkflowVersion.objects.filter(pk=version_id).values_list("expanded", "definition").first()
    if row is None:
        raise NotFound(detail=f"There is no workflow version {version_id}.")
    expanded, definition = row
    return load(definition if expanded is None else expanded)


def uses_of_template(caller: Caller, template_id: uuid.UUID) -> QuerySet[TemplateUse, dict[str, Any]]:
    """Where a template is used, by the current versions of workflows that the caller may read; as values."""
    found = TemplateUse.objects.visible_to(caller, "workflows:read").filter(template_id=template_id, **_CURRENT)
    rows: QuerySet[TemplateUse, dict[str, Any]] = found.values(*USE_FIELDS)
    return rows


def template_users_count(template_id: uuid.UUID) -> int:
    """How many workflows that are not archived use a template in their current version."""
    found = TemplateUse.objects.filter(template_id=template_id, **_CURRENT)
    live = found.exclude(version__workflow__status=Workflow.Status.ARCHIVED)
    return live.order_by().values("version__workflow_id").distinct().count()
