"""Import: a file says what a project's workflows shall be. All of it happens, or nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from django.db import transaction

from flowforge.api.caller import Caller
from flowforge.core.errors import Fault, InvalidBody
from flowforge.core.json import Json
from flowforge.kernel.validation import shape
from flowforge.projects.models import Project
from workflows.constants import EMPTY_DEFINITION
from workflows.models import Workflow, WorkflowVersion
from workflows.services.definitions import check
from workflows.services.files import ENTRY_SCHEMA, Entry
from workflows.services.forms import Written, read
from workflows.services.saving import Attributes, create_workflow, update_workflow

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
    document: Mapping[str, Json] | None = None  # to be stored, unless there are errors


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """An entry that is right in itself."""

    attributes: Attributes
    document: Mapping[str, Json]
    target: Workflow | None  # None: it is new


@transaction.atomic
def import_workflows(*, project: Project, entries: Sequence[Entry], caller: Caller) -> list[Imported]:
    """Create or update the project's workflows, matched by name; an answer per entry, in their order.

    A definition is replaced whole; description, tags and status stay where the file doesn't say them. Importing the
    same file again changes nothing. Raises InvalidBody (422) with the faults of all entries.
    """
    Project.objects.select_for_update().get(pk=project.pk)  # two imports of one name must not both create it
    targets = _targets(project, entries)
    plans: list[_Plan] = []
    faults: list[Fault] = []
    seen: set[str] = set()
    for entry in entries:
        found = _plan(entry, project, targets, seen)
        if isinstance(found, _Plan):
            plans.append(found)
        else:
            faults += found
    if faults:
        raise InvalidBody(detail="Nothing was imported: there are faults in the file.", faults=faults)
    return [_carry_out(plan, project, caller) for plan in plans]


def _targets(project: Project, entries: Sequence[Entry]) -> dict[str, list[Workflow]]:
    """Name -> what it may mean: the workflows that are not archived, or else the newest archived one."""
    names = {entry.body["name"] for entry in entries if _has_name(entry.body)}
    found: dict[str, list[Workflow]] = {}
    rows = Workflow.objects.filter(project=project, name__in=names).order_by("-created_at", "-id")
    for workflow in rows:
        found.setdefault(workflow.name, []).append(workflow)
    return {name: _live(same) or same[:1] for name, same in found.items()}


def _live(workflows: Sequence[Workflow]) -> list[Workflow]:
    return [workflow for workflow in workflows if workflow.status != Workflow.Status.ARCHIVED]


def _has_name(body: Json) -> bool:
    return isinstance(body, Mapping) and isinstance(body.get("name"), str)


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
        document=found.document,
    )


def _under(entry: Entry, faults: Sequence[Fault]) -> list[Fault]:
    return [fault.under(entry.pointer) for fault in faults]


def _plan(
    entry: Entry, project: Project, targets: Mapping[str, Sequence[Workflow]], seen: set[str]
) -> _Plan | list[Fault]:
    """What to do with an entry, or all that is wrong with it."""
    found = examine(entry, project)
    candidates = targets.get(entry.body["name"], []) if _has_name(entry.body) else []
    errors = [*found.errors, *_name_faults(entry, candidates, seen)]
    if errors or found.document is None:
        return errors
    return _Plan(
        attributes=_attributes(entry.body),
        document=found.document,
        target=candidates[0] if candidates else None,
    )


def _name_faults(entry: Entry, candidates: Sequence[Workflow], seen: set[str]) -> list[Fault]:
    if not _has_name(entry.body):
        return []
    faults, name = [], entry.body["name"]
    if name in seen:
        faults.append(Fault(pointer="/name", code="duplicate_name", detail="The file has this name twice."))
    if len(candidates) > 1:
        detail = f"{len(candidates)} workflows of the project have this name: rename all but one."
        faults.append(Fault(pointer="/name", code="ambiguous_name", detail=detail))
    seen.add(name)
    return _under(entry, faults)


def _attributes(body: Mapping[str, Any]) -> Attributes:
    status = body.get("status")
    return Attributes(
        name=body["name"],
        description=body.get("description"),
        status=status and status.lower(),
        tags=body.get("tags"),
    )


def _carry_out(plan: _Plan, project: Project, caller: Caller) -> Imported:
    if plan.target is None:
        version = create_workflow(project=project, attributes=plan.attributes, document=plan.document, caller=caller)
        return Imported(version=version, action="created")
    version = update_workflow(
        workflow_id=plan.target.pk,
        attributes=plan.attributes,
        written=Written(parts=plan.document),
        caller=caller,
        replace=True,
    )
    changed = version.workflow.updated_at != plan.target.updated_at
    return Imported(version=version, action="updated" if changed else "unchanged")
