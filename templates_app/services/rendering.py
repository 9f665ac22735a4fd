"""What a template would make of parameters, without a workflow."""

from collections.abc import Mapping
from dataclasses import replace

from flowforge.core.errors import Fault, InvalidBody
from flowforge.core.json import Json
from flowforge.core.pointers import pointer_of, tokens
from flowforge.kernel.templating import Substituter
from flowforge.kernel.validation import told, validate_step
from flowforge.projects.models import Project
from flowforge.projects.step_types import allowed_types, step_types
from templates_app.models import StepTemplateVersion
from templates_app.services.checking import Content
from templates_app.services.filling import Step, make_step


def render_template(*, version: StepTemplateVersion, project: Project, parameters: Mapping[str, Json]) -> Step:
    """The step that a version makes of parameters, checked as a node's would be but for what the graph decides.

    Raises InvalidBody (422) with pointers into the body: the parameter that is wrong, or `/parameters`.
    """
    step = make_step(Content.of(version), parameters, Substituter())
    faults = [fault.under("/parameters") for fault in step.errors]
    if not faults:
        registry = step_types()
        made = {"type": version.step_type, "config": step.filled.config, **step.content.defaults()}
        found = validate_step(made, registry, allowed_types=allowed_types(project, registry))
        faults = [_placed(step, fault) for fault in found]
    if faults:
        raise InvalidBody(detail="The template cannot make a step of this.", faults=told(faults))
    return step


def _placed(step: Step, fault: Fault) -> Fault:
    member, *rest = tokens(fault.pointer) or [""]
    blamed = step.blame(replace(fault, pointer=pointer_of(rest))) if member == "config" else None
    detail = f"in the template's {fault.pointer[1:]}: {fault.detail}"
    return Fault(pointer=pointer_of(["parameters", *(blamed or ())]), code=fault.code, detail=detail)
