"""Whether what a client sent makes a step template."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from flowforge.core import json
from flowforge.core.errors import Fault
from flowforge.core.json import Json
from flowforge.kernel.expressions import ExpressionError
from flowforge.kernel.templating import ROOT, Substituter, texts
from flowforge.kernel.validation import validate_step
from flowforge.projects.models import Project
from flowforge.projects.step_types import allowed_types, step_types
from templates_app.constants import CONTENT_FIELDS, MAX_CONFIG_BYTES
from templates_app.models import StepTemplateVersion
from templates_app.services.parameters import declared, schema_faults


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a version of a template holds."""

    step_type: str
    config: Mapping[str, Json]
    parameters: Mapping[str, Json] | None = None
    retry: Mapping[str, Json] | None = None
    timeout: str | float | None = None

    @classmethod
    def of(cls, version: StepTemplateVersion) -> "Content":
        return cls(**{name: getattr(version, name) for name in CONTENT_FIELDS})

    def is_same_as(self, other: "Content") -> bool:
        """As JSON: in Python true is 1."""
        return json.canonical(asdict(self)) == json.canonical(asdict(other))

    def step(self) -> dict[str, Json]:
        """The step as the kernel checks it."""
        return {"type": self.step_type, "config": dict(self.config), **self.defaults()}

    def defaults(self) -> dict[str, Any]:
        """What a node takes that doesn't say it itself."""
        return {name: value for name in ("retry", "timeout") if (value := getattr(self, name)) is not None}


def faults_of(content: Content, project: Project) -> list[Fault]:
    """Everything that is wrong with a template's content, by pointers into the template."""
    if len(json.dumps(content.config)) > MAX_CONFIG_BYTES:
        detail = f"a template's config has at most {MAX_CONFIG_BYTES // 1024} KiB"
        return [Fault(pointer="/config", code="too_large", detail=detail)]
    registry = step_types()
    allowed = allowed_types(project, registry)
    found = validate_step(content.step(), registry, allowed_types=allowed, names=frozenset({ROOT}))
    schema = [fault.under("/parameters") for fault in schema_faults(content.parameters)]
    undeclared = [] if schema else list(_undeclared(content))
    return [_renamed(fault) for fault in found] + schema + undeclared


def _renamed(fault: Fault) -> Fault:
    """The step's `type` is the template's `step_type`."""
    return replace(fault, pointer="/step_type") if fault.pointer == "/type" else fault


def _undeclared(content: Content) -> Iterator[Fault]:
    """Parameters that are read and that nobody can give."""
    known, substituter = declared(content.parameters), Substituter()
    if known is None:
        return
    for pointer, text in texts(content.step_type, content.config):
        try:
            names = substituter.reads(text) or frozenset()
        except ExpressionError:
            continue  # told by the check of the step
        for name in sorted(names - known):
            detail = f"the schema in `parameters` has no property {name[:100]!r}"
            yield Fault(pointer=f"/config{pointer}", code="unknown_parameter", detail=detail)
