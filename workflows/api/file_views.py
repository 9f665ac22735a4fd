"""Definitions as files and under examination: export, import, validate; and the step types they are made of."""

import uuid

from django.http import HttpResponse, QueryDict
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flowforge.api.idempotency import idempotent
from flowforge.api.pagination import page_params, slice_of
from flowforge.api.serializers import body
from flowforge.api.views import Bare
from flowforge.core.errors import Fault, MalformedRequest
from flowforge.core.json import Json
from flowforge.projects.models import Project
from flowforge.projects.selectors import resolve_project
from templates_app.selectors import names_of
from workflows.api import docs
from workflows.api.base import READ, WRITE, WorkflowViews
from workflows.api.parsers import uploaded
from workflows.api.serializers import DefinitionBody, ValidateBody
from workflows.constants import DEFINITION_BODY_BYTES, EMPTY_DEFINITION
from workflows.services import files
from workflows.services.definitions import allowed_types, check, step_types
from workflows.services.forms import Written, read
from workflows.services.importing import import_workflows

MEDIA_TYPES = {"yaml": "application/yaml", "json": "application/json"}


class FileViewSet(WorkflowViews):
    """`/v1/workflows/{id}/export` and `/v1/workflows:import`."""

    scopes = {"export": READ, "import_files": WRITE}
    query_params = {"import_files": ("project_id",)}
    produces = ("application/yaml",)
    bare = ("export",)
    max_body_bytes = DEFINITION_BODY_BYTES

    @extend_schema(**docs.EXPORT)
    def export(self, request: Request, workflow_id: uuid.UUID) -> HttpResponse:
        """Export a workflow as a file.

        The same workflow gives the same text, so that it can be kept under version control. Import reads it. Step
        templates are named by their names, so that another project that has them can read it too.
        """
        chosen = self.choice("format", ("yaml", "json"))
        current = self.current(workflow_id)
        name = files.file_name(current.workflow.name, chosen)
        return Bare(
            files.to_text(files.exported(current, names_of(current.workflow.project_id)), chosen).encode(),
            content_type=MEDIA_TYPES[chosen],
            headers={"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"},
        )

    @extend_schema(**docs.IMPORT)
    @idempotent
    def import_files(self, request: Request) -> HttpResponse:
        """Import workflows: create or update them by their names, all of them or none.

        Takes `{"definitions": […]}`, one exported workflow or a list of such, as JSON, as YAML or as an uploaded
        `file`. A definition is replaced whole; what else a file leaves out stays. The same file again changes nothing.
        """
        if not request.body:
            raise MalformedRequest(detail="A body is needed here: JSON, YAML or an uploaded file.")
        data = request.data
        content: Json = uploaded(data) if isinstance(data, QueryDict) else data
        named = request.GET.get("project_id")
        if isinstance(content, dict) and "definitions" in content:
            named = content.pop("project_id", named)
        project = resolve_project(self.caller, named, scope=WRITE)
        found = import_workflows(project=project, entries=files.entries(content), caller=self.caller)
        return self.ok(
            [
                {
                    "id": one.version.workflow_id,
                    "name": one.version.workflow.name,
                    "action": one.action,
                    "version": one.version.version,
                }
                for one in found
            ]
        )


class ValidateViewSet(WorkflowViews):
    """`/v1/workflows:validate` and `/v1/workflows/{id}:validate`: nothing is stored."""

    scopes = {"validate_new": READ, "validate": READ}
    max_body_bytes = DEFINITION_BODY_BYTES

    @extend_schema(**docs.VALIDATE)
    def validate_new(self, request: Request) -> HttpResponse:
        """Check a definition: everything that is wrong with it, by JSON pointer. Nothing is stored."""
        given = body(ValidateBody, request)
        project = resolve_project(self.caller, given.get("project_id"), scope=READ)
        return self._verdict(project, read(given), EMPTY_DEFINITION)

    @extend_schema(**docs.VALIDATE_SAVED)
    def validate(self, request: Request, workflow_id: uuid.UUID) -> HttpResponse:
        """Check a workflow, or a change to it.

        The parts of a definition in the body are checked over the stored ones, as PATCH would; nothing is stored.
        """
        current = self.current(workflow_id)
        given = body(DefinitionBody, request, partial=True) if request.body else {}
        return self._verdict(current.workflow.project, read(given), current.definition)

    def _verdict(self, project: Project, written: Written, base: dict[str, Json]) -> HttpResponse:
        errors, warnings = list(written.faults), list[Fault]()
        if not errors:
            found = check(written.over(base), project)
            errors, warnings = written.tell(found.errors), written.tell(found.warnings)
        shown = {
            "valid": not errors,
            "errors": [fault.as_dict() for fault in errors],
            "warnings": [fault.as_dict() for fault in warnings],
        }
        return self.ok(shown)


class StepTypeViewSet(WorkflowViews):
    """`/v1/step-types`."""

    scopes = {"list": READ}
    query_params = {"list": ("project_id",)}

    @extend_schema(**docs.STEP_TYPES)
    def list(self, request: Request) -> HttpResponse:
        """List the step types, with the JSON Schemas of their config and output."""
        project = self.meant_project(request.GET.get("project_id"))
        allowed = None if project is None else allowed_types(project)
        shown = [
            {
                "name": kind.name,
                "title": kind.title,
                "description": kind.description,
                "kind": kind.kind,
                "config_schema": kind.config_schema,
                "output_schema": kind.output_schema,
                "allowed": None if allowed is None else kind.name in allowed,
            }
            for kind in step_types().all()
        ]
        return self.ok(slice_of(shown, page_params(request)))
