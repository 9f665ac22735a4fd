"""Creating and changing workflows. Every change of a definition is a new version, made under the row's lock."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction

from flowforge.api.caller import Caller
from flowforge.core import clock
from flowforge.core.errors import Conflict, Fault, InvalidBody, NotFound
from flowforge.core.json import Json
from flowforge.projects.models import Project
from flowforge.projects.selectors import require_active
from workflows.constants import EMPTY_DEFINITION
from workflows.models import TemplateUse, Workflow, WorkflowVersion
from workflows.ports import runs_port
from workflows.selectors import current_version
from workflows.services.definitions import Storable, blamed_on, check, definition_hash
from workflows.services.forms import Written

Precondition = Callable[[WorkflowVersion], None]
"""Called under the lock with the state that is about to change; raises to stop (If-Match)."""


@dataclass(frozen=True, kw_only=True)
class Attributes:
    """What a workflow has beside its definition; None leaves it as it is."""

    name: str | None = None
    description: str | None = None
    status: str | None = None
    tags: Sequence[str] | None = None

    def given(self) -> dict[str, Any]:
        found: dict[str, Any] = {"name": self.name, "description": self.description, "status": self.status}
        if self.tags is not None:
            found["tags"] = list(dict.fromkeys(self.tags))  # each once, in the order given
        return {name: value for name, value in found.items() if value is not None}


def checked_document(*, project: Project, written: Written, base: Mapping[str, Json] = EMPTY_DEFINITION) -> Storable:
    """What to store: what was written over `base`.

    Raises InvalidBody (422) with all faults, each placed in what the client sent.
    """
    if written.faults:
        raise InvalidBody(faults=written.faults)
    found = check(written.over(base), project)
    if found.storable is None:
        raise InvalidBody(detail="The definition is invalid.", faults=written.tell(found.errors))
    return found.storable


def checked_change(*, workflow_id: uuid.UUID, written: Written, replace: bool = False) -> Storable | None:
    """What `update_workflow` would store, None where nothing of it was written. Raises InvalidBody."""
    return _merged(current_version(workflow_id), written, replace)


@transaction.atomic
def create_workflow(*, project: Project, attributes: Attributes, document: Storable, caller: Caller) -> WorkflowVersion:
    """A workflow at version 1 of a checked definition. Raises Conflict (409) in an archived project."""
    require_active(project)
    workflow = Workflow.objects.create(project=project, **attributes.given())
    return _add_version(workflow, 1, document, caller)


def update_workflow(
    *,
    workflow_id: uuid.UUID,
    attributes: Attributes,
    written: Written,
    caller: Caller,
    replace: bool = False,
    precondition: Precondition | None = None,
) -> WorkflowVersion:
    """Change attributes, and the definition where parts of it were written; `replace` starts from an empty one.

    Raises InvalidBody (422), Conflict (409) on archiving while runs are live, and what `precondition` raises.
    """
    seen = current_version(workflow_id)
    document = _merged(seen, written, replace)  # before the lock: a check can take seconds, and others wait for it
    with transaction.atomic():
        current = _lock(workflow_id, precondition)
        if current.pk != seen.pk and not replace:
            document = _merged(current, written, replace)  # somebody was faster: ours goes over theirs
        return _store(current, attributes, document, caller)


@transaction.atomic
def store_document(
    *, workflow_id: uuid.UUID, attributes: Attributes, document: Storable, caller: Caller
) -> WorkflowVersion:
    """Make a checked definition the current one. Raises Conflict (409) as `update_workflow` does."""
    return _store(_lock(workflow_id), attributes, document, caller)


def rollback_workflow(
    *, workflow_id: uuid.UUID, version: int, caller: Caller, precondition: Precondition | None = None
) -> WorkflowVersion:
    """Make an older version's definition the current one, as a new version; the current one's own changes nothing.

    Raises InvalidBody (422) where there is no such version, or where its definition may not be stored any more.
    """
    versions = WorkflowVersion.objects.select_related("workflow__project")
    old = versions.filter(workflow_id=workflow_id, version=version).first()
    if old is None:
        fault = Fault(pointer="/version", code="unknown_version", detail=f"There is no version {version}.")
        raise InvalidBody(faults=[fault])
    found = check(old.definition, old.workflow.project)
    if found.storable is None:
        raise blamed_on("/version", found.errors)
    with transaction.atomic():
        return _store(_lock(workflow_id, precondition), Attributes(), found.storable, caller)


def duplicate_workflow(
    *, source: WorkflowVersion, project: Project, name: str | None, caller: Caller
) -> WorkflowVersion:
    """A copy of the current version, active, at version 1. Raises InvalidBody (422) if `project` doesn't allow it."""
    found = check(source.definition, project)
    if found.storable is None:
        raise blamed_on("/project_id", found.errors)
    original = source.workflow
    attributes = Attributes(
        name=name or f"{original.name[:193]} (copy)", description=original.description, tags=original.tags
    )
    return create_workflow(project=project, attributes=attributes, document=found.storable, caller=caller)


def upgrade_templates(
    *, workflow_id: uuid.UUID, template_id: uuid.UUID | None, caller: Caller, precondition: Precondition | None = None
) -> WorkflowVersion:
    """Pin the nodes of one template, or of all, to the newest version: a new version unless they all have it.

    Raises InvalidBody (422) where the parameters do not fit that version, Conflict (409) where somebody else saved
    the workflow meanwhile.
    """
    seen = current_version(workflow_id)
    nodes = [_unpinned(node, template_id) for node in seen.definition["nodes"]]
    found = check({**seen.definition, "nodes": nodes}, seen.workflow.project)
    if found.storable is None:
        raise blamed_on("/template_id", found.errors)
    with transaction.atomic():
        current = _lock(workflow_id, precondition)
        if current.pk != seen.pk:
            raise Conflict(detail="Someone else saved this workflow at the same time: read it again.")
        return _store(current, Attributes(), found.storable, caller)


def _unpinned(node: Mapping[str, Any], template_id: uuid.UUID | None) -> dict[str, Json]:
    if template_id is not None and node.get("template_id") != str(template_id):
        return dict(node)
    return {name: value for name, value in node.items() if name != "template_version"}


@transaction.atomic
def archive_workflow(
    *, workflow_id: uuid.UUID, caller: Caller, force: bool = False, precondition: Precondition | None = None
) -> WorkflowVersion:
    """No new runs from now on. Raises Conflict (409) while runs are live; `force` asks those to end instead."""
    current = _lock(workflow_id, precondition)
    if force:
        runs_port().cancel_live(workflow_id, caller.actor)
    else:
        _require_no_live_runs(current.workflow)
    _set(current.workflow, {"status": Workflow.Status.ARCHIVED})
    return current


def _merged(base: WorkflowVersion, written: Written, replace: bool) -> Storable | None:
    """What that which was written makes of a version; None where nothing of a definition was written."""
    if not (written.parts or written.faults or replace):
        return None
    return checked_document(
        project=base.workflow.project, written=written, base=EMPTY_DEFINITION if replace else base.definition
    )


def _lock(workflow_id: uuid.UUID, precondition: Precondition | None = None) -> WorkflowVersion:
    """Its current version, with the workflow's row held to the end of the transaction.

    Raises NotFound, and Conflict (409) in an archived project.
    """
    if not Workflow.objects.select_for_update().filter(pk=workflow_id).exists():
        raise NotFound
    current = current_version(workflow_id)
    require_active(current.workflow.project)
    if precondition is not None:
        precondition(current)
    return current


def _store(
    current: WorkflowVersion, attributes: Attributes, document: Storable | None, caller: Caller
) -> WorkflowVersion:
    """Write what differs; a document makes a version unless it is the current one's."""
    workflow, changed = current.workflow, attributes.given()
    if changed.get("status") == Workflow.Status.ARCHIVED and workflow.status != Workflow.Status.ARCHIVED:
        _require_no_live_runs(workflow)
    if document is not None and definition_hash(document.document) != current.definition_hash:
        changed["version"] = workflow.version + 1
        current = _add_version(workflow, workflow.version + 1, document, caller)
    _set(workflow, changed)
    return current


def _set(workflow: Workflow, values: Mapping[str, Any]) -> None:
    """Write what differs; `updated_at` moves only with something."""
    changed = {name: value for name, value in values.items() if getattr(workflow, name) != value}
    if not changed:
        return
    for name, value in (changed | {"updated_at": clock.now()}).items():
        setattr(workflow, name, value)
    workflow.save(update_fields=[*changed, "updated_at"])


def _add_version(workflow: Workflow, number: int, document: Storable, caller: Caller) -> WorkflowVersion:
    """Raises Conflict (409) where the number is taken: by a writer that did not take the row's lock."""
    try:
        version = WorkflowVersion.objects.create(
            workflow=workflow,
            version=number,
            definition=document.document,
            definition_hash=definition_hash(document.document),
            expanded=document.expanded,
            created_by_id=caller.user_id,
        )
    except IntegrityError as error:
        raise Conflict(detail="Someone else saved this workflow at the same time: read it again.") from error
    TemplateUse.objects.bulk_create(
        TemplateUse(
            version=version, template_id=use.template_id, template_version=use.version, node_ids=list(use.node_ids)
        )
        for use in document.uses
    )
    return version


def _require_no_live_runs(workflow: Workflow) -> None:
    live = runs_port().live_count(workflow.id)
    if live:
        raise Conflict(
            detail=f"{live} of its runs have not ended: wait for them, or give force=true to cancel them.",
            extra={"live_runs": live},
        )
