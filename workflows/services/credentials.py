"""The credentials that a definition names: they are the project's, and may go where a URL says that they go."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flowforge.core.errors import Fault
from flowforge.core.json import Json
from flowforge.core.pointers import pointer_of
from flowforge.credentials.selectors import hosts_by_name
from flowforge.kernel.expressions import compile_template
from flowforge.kernel.validation.draft import strings
from flowforge.projects.models import Project
from flowforge.steps import hosts
from flowforge.steps.base import StepType
from flowforge.steps.registry import Registry
from workflows.services.walking import steps


@dataclass(frozen=True, kw_only=True, slots=True)
class _Use:
    """A place that names a credential."""

    name: str
    pointer: str
    target: str | None  # `name:port` that it is sent to, where that is written down


def faults(document: Mapping[str, Json], project: Project, registry: Registry) -> list[Fault]:
    """Names in a valid document that stand for no credential of the project, or for one that may not go there."""
    found = [use for node, at in steps(document) for use in _uses(node, at, registry)]
    if not found:
        return []
    known = hosts_by_name(project.pk, [use.name for use in found])
    return [fault for use in found for fault in _faults_of(use, known.get(use.name))]


def _faults_of(use: _Use, patterns: list[str] | None) -> Iterator[Fault]:
    if "{{" in use.name:
        detail = "the name of a credential is written down, not computed"
        yield Fault(pointer=use.pointer, code="computed_credential", detail=detail)
    elif patterns is None:
        detail = f"the project has no credential {use.name[:100]!r}"
        yield Fault(pointer=use.pointer, code="unknown_credential", detail=detail)
    elif use.target is not None and not hosts.admits(patterns, use.target):
        detail = f"the credential {use.name!r} may not be sent to {use.target}"
        yield Fault(pointer=use.pointer, code="credential_host", detail=detail)


def _uses(node: Mapping[str, Any], at: str, registry: Registry) -> Iterator[_Use]:
    config = node.get("config") or {}
    step_type = registry.get(str(node.get("type")))
    target = _target(step_type, config)
    for member in sorted(getattr(step_type, "credential_members", ())):
        if isinstance(name := config.get(member), str):
            yield _Use(name=name, pointer=at + pointer_of([member]), target=target)
    if node.get("type") == "map":
        config = {name: value for name, value in config.items() if name != "step"}
    for pointer, text in strings(config, at):
        if "{{" in text and "credentials" in text:
            for reference in sorted(compile_template(text).references, key=str):
                if reference.root == "credentials" and reference.name is not None:
                    yield _Use(name=reference.name, pointer=pointer, target=target)


def _target(step_type: StepType | None, config: Mapping[str, Any]) -> str | None:
    member = getattr(step_type, "target_member", None)
    url = config.get(member) if member else None
    return hosts.host_of(url) if isinstance(url, str) else None
