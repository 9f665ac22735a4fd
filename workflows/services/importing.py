"""Import: a file says what a project's workflows shall be. All of it happens, or nothing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from django.db import transaction

from flowforge.api.caller import Caller
from flowforge.core.errors import Fault, InvalidBody
from flowforge.kernel.validation import shape
from flowforge.projects.models import Project
from workflows.constants import EMPTY_DEFINITION
from workflows.models import Workflow, WorkflowVersion
from workflows.services.definitions import Storable, check
from workflows.services.files import ENTRY_SCHEMA, Entry
from workflows.services.forms import read
from workflows.services.saving import Attributes, create_workflow, store_document

Action = Literal["created", "updated", "unchanged"]


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What became of one entry."""

    version: WorkflowVersion
    action: Action


@dataclass(frozen=True, kw_only=True)
class Examined:
    """An entry under examination; pointers into the file."""

    errors: list[Fault]
    warnings: list[Fault] = field(default_factory=list)
    storable: Storable | None = None  # None: there are errors


def import_workflows(*, project: Project, entries: Sequence[Entry], caller: Caller) -> list[Imported]:
    """Create or update the project's workflows, matched by name; an answer per entry, in their order.

    A definition is replaced whole; description, tags and status stay where the file doesn't say them. Importing the
    same file again changes nothing. Raises InvalidBody (422) with the faults of all entries.
    """
    found = [examine(entry, project) for entry in entries]
    faults = [fault for one in found for fault in one.errors]
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=project.pk)  # two imports of one name must not both create it
        targets = _targets(project, entries)
        faults += _name_faults(entries, targets)
        if faults:
            raise InvalidBody(detail="Nothing was imported: there are faults in the file.", faults=faults)
        return [
            _carry_out(entry.body, one.storable, targets.get(entry.body["name"]), project, caller)
            for entry, one in zip(entries, found, strict=True)
            if one.storable is not None
        ]


def examine(entry: Entry, project: Project) -> Examined:
    """All that is wrong with an entry in itself; nothing is stored."""
    faults, _ = shape.check(ENTRY_SCHEMA, entry.body)
    if faults:
        return Examined(errors=_under(entry, faults))
    written = read(entry.body)
    if written.faults:
        return Examined(errors=_under(entry, written.faults))
    found = check(written.over(EMPTY_DEFINITION), project)
    return Examined(
        errors=_under(entry, written.tell(found.errors)),
        warnings=_under(entry, written.tell(found.warnings)),
        storable=found.storable,
    )


def _under(entry: Entry, faults: Iterable[Fault]) -> list[Fault]:
    return [fault.under(entry.pointer) for fault in faults]


def _targets(project: Project, entries: Sequence[Entry]) -> dict[str, list[Workflow]]:
    """Name -> what it may mean: the workflows that are not archived, or else the newest archived one."""
    names = {entry.body["name"] for entry in entries if _has_name(entry)}
    found: dict[str, list[Workflow]] = {}
    rows = Workflow.objects.filter(project=project, name__in=names).order_by("-created_at", "-id")
    for workflow in rows:
        found.setdefault(workflow.name, []).append(workflow)
    return {name: _live(same) or same[:1] for name, same in found.items()}


def _live(workflows: Sequence[Workflow]) -> list[Workflow]:
    return [workflow for workflow in workflows if workflow.status != Workflow.Status.ARCHIVED]


def _has_name(entry: Entry) -> bool:
    return isinstance(entry.body, Mapping) and isinstance(entry.body.get("name"), str)


def _name_faults(entries: Sequence[Entry], targets: Mapping[str, Sequence[Workflow]]) -> Iterator[Fault]:
    """Names that do not say which workflow is meant."""
    seen: set[str] = set()
    for entry in filter(_has_name, entries):
        name, pointer = entry.body["name"], f"{entry.pointer}/name"
        if name in seen:
            yield Fault(pointer=pointer, code="duplicate_name", detail="The file has this name twice.")
        elif len(same := targets.get(name, ())) > 1:
            detail = f"{len(same)} workflows of the project have this name: rename all but one."
            yield Fault(pointer=pointer, code="ambiguous_name", detail=detail)
        seen.add(name)


def _carry_out(
    body: Mapping[str, Any],
    document: Storable,
    targets: Sequence[Workflow] | None,
    project: Project,
    caller: Caller,
) -> Imported:
    status = body.get("status")
    attributes = Attributes(
        name=body["name"],
        description=body.get("description"),
        status=status and status.lower(),
        tags=body.get("tags"),
    )
    if not targets:
        version = create_workflow(project=project, attributes=attributes, document=document, caller=caller)
        return Imported(version=version, action="created")
    [target] = targets
    version = store_document(workflow_id=target.pk, attributes=attributes, document=document, caller=caller)
    changed = version.workflow.updated_at != target.updated_at
    return Imported(version=version, action="updated" if changed else "unchanged")
