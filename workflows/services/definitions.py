"""Whether a definition may be stored: valid for the kernel, its step types allowed in its project."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.conf import settings

from flowforge.core.errors import Fault, InvalidBody
from flowforge.core.json import Json, canonical
from flowforge.kernel.validation import Validation, from_tasks, validate
from flowforge.projects.models import Project
from flowforge.projects.selectors import allowed_step_types
from flowforge.steps.registry import Registry, default_registry
from workflows.services import assets, credentials, references


def step_types() -> Registry:
    """All step types of this installation: ours, those of entry points and of `settings.STEP_TYPES`."""
    return default_registry(settings.STEP_TYPES)


def allowed_types(project: Project, registry: Registry | None = None) -> frozenset[str]:
    """The types that a project's definitions may use; unless it says so, none that starts processes."""
    registry = registry or step_types()
    chosen = allowed_step_types(project.settings)
    if chosen is not None:
        return chosen & frozenset(registry.names())
    return frozenset(kind.name for kind in registry.all() if not kind.starts_processes)


def check(document: Mapping[str, Json], project: Project) -> Validation:
    """Everything that is wrong with a document, and what would be stored of it."""
    registry = step_types()
    found = validate(document, registry, allowed_types=allowed_types(project, registry))
    if found.document is None:
        return found
    errors = [
        *references.faults(found.document, project),
        *credentials.faults(found.document, project, registry),
        *assets.faults(found.document, project, registry),
    ]
    if errors and document.get("tasks") is not None:
        tasks = from_tasks(document["tasks"])
        errors = [replace(fault, pointer=tasks.origin(fault.pointer)) for fault in errors]
    return Validation(errors=errors) if errors else found


def definition_hash(document: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON: equal definitions, equal hashes."""
    return hashlib.sha256(canonical(document)).hexdigest()


def blamed_on(pointer: str, faults: Sequence[Fault]) -> InvalidBody:
    """Faults of a definition that the request only refers to, told at the field that refers to it."""
    return InvalidBody(
        detail="The definition that this refers to cannot be stored here.",
        faults=[Fault(pointer=pointer, code=fault.code, detail=f"{fault.pointer}: {fault.detail}") for fault in faults],
    )
