"""Whether a definition may be stored: valid for the kernel, its step types allowed in its project."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from flowforge.core.errors import Fault, InvalidBody
from flowforge.core.json import Json, canonical
from flowforge.kernel.validation import from_tasks, told, validate
from flowforge.projects.models import Project
from flowforge.projects.step_types import allowed_types, step_types
from templates_app.services.expanding import Expansion, Use, expand
from workflows.services import assets, credentials, references

__all__ = ["Checked", "Storable", "allowed_types", "blamed_on", "check", "definition_hash", "step_types"]


@dataclass(frozen=True, kw_only=True)
class Storable:
    """A definition that may be stored."""

    document: dict[str, Json]  # as the client wrote it, its templates pinned
    expanded: dict[str, Json] | None = None  # what runs go by, where templates make another one of it
    uses: Sequence[Use] = ()  # of templates


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What was found; pointers into the document as it was written. Without errors there is something to store."""

    errors: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)
    storable: Storable | None = None


def check(document: Mapping[str, Json], project: Project) -> Checked:
    """Everything that is wrong with a document, and what would be stored of it.

    What templates make of it is checked as if it had been written: the project's policy holds for the result.
    """
    registry, expansion = step_types(), expand(document, project.pk)
    found = validate(expansion.made, registry, allowed_types=allowed_types(project, registry))
    errors = [*expansion.errors, *expansion.tell(found.errors)]
    if errors or found.document is None:
        return Checked(errors=told(errors))
    faults = [
        *references.faults(found.document, project),
        *credentials.faults(found.document, project, registry),
        *assets.faults(found.document, project, registry),
    ]
    errors = expansion.tell(faults)
    if errors and document.get("tasks") is not None:
        tasks = from_tasks(document["tasks"])
        errors = [replace(fault, pointer=tasks.origin(fault.pointer)) for fault in errors]
    if errors:
        return Checked(errors=errors)
    warnings = told([*expansion.warnings, *expansion.tell(found.warnings)])
    return Checked(warnings=warnings, storable=_storable(found.document, expansion))


def _storable(document: dict[str, Json], expansion: Expansion) -> Storable:
    if not expansion.nodes:
        return Storable(document=document)
    written = {**document, "nodes": expansion.written["nodes"]}
    return Storable(document=written, expanded=document, uses=expansion.uses())


def definition_hash(document: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON: equal definitions, equal hashes."""
    return hashlib.sha256(canonical(document)).hexdigest()


def blamed_on(pointer: str, faults: Sequence[Fault]) -> InvalidBody:
    """Faults of a definition that the request only refers to, told at the field that refers to it."""
    return InvalidBody(
        detail="The definition that this refers to cannot be stored here.",
        faults=[Fault(pointer=pointer, code=fault.code, detail=f"{fault.pointer}: {fault.detail}") for fault in faults],
    )
