"""Workflows: list, create, read, change, archive, duplicate, roll back."""

import uuid
from collections.abc import Sequence
from functools import partial
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flowforge.api.idempotency import idempotent
from flowforge.api.pagination import Page
from flowforge.api.serializers import body
from flowforge.core.errors import InvalidQuery
from flowforge.core.json import Json
from flowforge.operating import selectors as operating
from flowforge.projects.models import Project
from flowforge.projects.scoping import get_visible, require_visible
from flowforge.projects.selectors import project_to_write, resolve_project
from workflows import present
from workflows.api import docs
from workflows.api.base import READ, WRITE, WorkflowViews
from workflows.api.bodies import body_with_definition
from workflows.api.filters import WorkflowFilters
from workflows.api.serializers import DuplicateBody, NewWorkflowBody, RollbackBody, WorkflowBody
from workflows.constants import DEFINITION_BODY_BYTES
from workflows.models import Workflow
from workflows.ports import runs_port
from workflows.selectors import LIST_FIELDS, definitions_of, get_workflow, outputs_of
from workflows.services.forms import Written, read
from workflows.services.saving import (
    Attributes,
    archive_workflow,
    checked_change,
    checked_document,
    create_workflow,
    duplicate_workflow,
    rollback_workflow,
    update_workflow,
)


class WorkflowViewSet(WorkflowViews):
    """`/v1/workflows`, `/v1/workflows/{id}`, the same nested under a project, and two actions."""

    scopes = {
        "list": READ,
        "create": WRITE,
        "retrieve": READ,
        "update": WRITE,
        "partial_update": WRITE,
        "destroy": WRITE,
        "duplicate": WRITE,
        "rollback": WRITE,
    }
    filterset_class = WorkflowFilters
    query_params = {"destroy": ("force",)}
    errors = {"update": (409,), "partial_update": (409,), "destroy": (409,), "rollback": (409, 412)}
    max_body_bytes = DEFINITION_BODY_BYTES

    @extend_schema(**docs.LIST)
    def list(self, request: Request, project_id: uuid.UUID | None = None) -> HttpResponse:
        """List workflows, newest first.

        `nodes`, `edges`, `config` and `input_schema` are left out unless `expand=definition`.
        """
        rows = Workflow.objects.visible_to(self.caller, READ).values(*LIST_FIELDS)
        if project_id is not None:
            project = get_visible(Project.objects.all(), self.caller, project_id, READ)
            rows = rows.filter(project=project)
        chosen = self.filtered(rows)
        require_visible(Project.objects.all(), self.caller, request.GET.getlist("project_id"))
        page = self.page(chosen)
        return self.ok(Page(rows=self._shown_rows(page.rows), meta=page.meta))

    @extend_schema(**docs.CREATE)
    @idempotent
    def create(self, request: Request, project_id: uuid.UUID | None = None) -> HttpResponse:
        """Create a workflow, at version 1.

        The definition is written in one of three forms: its fields at the top, as `definition`, or as FlowCtl's
        `tasks` with `dependencies`. Everything that is wrong with it is named by JSON pointer, at once.
        """
        given = body_with_definition(NewWorkflowBody, request, partial(self._check_new, project_id))
        project = self._project_to_write(project_id, given.get("project_id"))
        document = checked_document(project=project, written=read(given))
        version = create_workflow(project=project, attributes=_attributes(given), document=document, caller=self.caller)
        return self.answer_created(version)

    @extend_schema(**docs.RETRIEVE)
    def retrieve(self, request: Request, workflow_id: uuid.UUID) -> HttpResponse:
        """Read a workflow, with the definition of its current version and its newest run."""
        return self.answer(self.current(workflow_id))

    @extend_schema(**docs.UPDATE)
    def update(self, request: Request, workflow_id: uuid.UUID) -> HttpResponse:
        """Replace a workflow.

        What the body leaves out takes its default. A changed definition becomes a new version.
        """
        get_workflow(self.caller, workflow_id, WRITE)
        check = partial(self._check_change, workflow_id, replace=True)
        given = body_with_definition(WorkflowBody, request, check)
        defaults = {"description": "", "status": Workflow.Status.ACTIVE, "tags": []}
        return self._change(workflow_id, defaults | given, replace=True)

    @extend_schema(**docs.PATCH)
    def partial_update(self, request: Request, workflow_id: uuid.UUID) -> HttpResponse:
        """Change a workflow.

        What the body leaves out stays; each part of the definition that it gives (`nodes`, say) is replaced whole.
        A changed definition becomes a new version; runs keep theirs. `status` pauses, archives and brings back.
        """
        get_workflow(self.caller, workflow_id, WRITE)
        check = partial(self._check_change, workflow_id, replace=False)
        given = body_with_definition(WorkflowBody, request, check, partial=True)
        return self._change(workflow_id, given, replace=False)

    @extend_schema(**docs.DESTROY)
    def destroy(self, request: Request, workflow_id: uuid.UUID) -> HttpResponse:
        """Archive a workflow: it takes no new runs, its history stays.

        409 while runs are live, unless `force=true` cancels them.
        """
        get_workflow(self.caller, workflow_id, WRITE)
        archive_workflow(
            workflow_id=workflow_id, caller=self.caller, force=self.flag("force"), precondition=self.if_match
        )
        return self.no_content()

    @extend_schema(**docs.DUPLICATE)
    @idempotent
    def duplicate(self, request: Request, workflow_id: uuid.UUID) -> HttpResponse:
        """Copy a workflow.

        The current version becomes version 1 of a new, active workflow, in this or another project.
        """
        source = self.current(workflow_id)
        given = body(DuplicateBody, request)
        chosen = given.get("project_id", source.workflow.project_id)
        project = resolve_project(self.caller, chosen, scope=WRITE)
        version = duplicate_workflow(source=source, project=project, name=given.get("name"), caller=self.caller)
        return self.answer_created(version)

    @extend_schema(**docs.ROLLBACK)
    def rollback(self, request: Request, workflow_id: uuid.UUID) -> HttpResponse:
        """Go back to an older version.

        Its definition becomes the current one, as a new version; where it is current already, nothing changes.
        """
        get_workflow(self.caller, workflow_id, WRITE)
        version = rollback_workflow(
            workflow_id=workflow_id,
            version=body(RollbackBody, request)["version"],
            caller=self.caller,
            precondition=self.if_match,
        )
        return self.answer(version)

    def _change(self, workflow_id: uuid.UUID, given: dict[str, Any], *, replace: bool) -> HttpResponse:
        version = update_workflow(
            workflow_id=workflow_id,
            attributes=_attributes(given),
            written=read(given),
            caller=self.caller,
            replace=replace,
            precondition=self.if_match,
        )
        return self.answer(version)

    def _check_new(self, in_path: uuid.UUID | None, written: Written) -> None:
        """Of a body that is refused anyway: whether its definition could be stored. Raises InvalidBody."""
        given = self.request.data
        named = given.get("project_id") if in_path is None and isinstance(given, dict) else None
        checked_document(project=self._project_to_write(in_path, named), written=written)

    def _check_change(self, workflow_id: uuid.UUID, written: Written, *, replace: bool) -> None:
        """The same of a change."""
        checked_change(workflow_id=workflow_id, written=written, replace=replace)

    def _project_to_write(self, in_path: uuid.UUID | None, in_body: uuid.UUID | None) -> Project:
        """Where a new workflow goes: by the path (404), by the body (422), or the caller's only project."""
        return project_to_write(self.caller, in_path, in_body, scope=WRITE)

    def _shown_rows(self, rows: Sequence[Any]) -> Sequence[Json]:
        """Three queries, whatever the page's length."""
        expand = self.request.GET.get("expand")
        if expand not in (None, "definition"):
            raise InvalidQuery(detail="expand is definition, or nothing.")
        ids = [row["id"] for row in rows]
        last_runs = runs_port().last_runs(ids) if ids else {}
        parts = definitions_of(ids) if expand else {key: {"output": output} for key, output in outputs_of(ids).items()}
        holds = operating.holds_of(ids)
        return [
            present.workflow(row, last_runs.get(row["id"]), parts.get(row["id"], {}), holds.get(row["id"]))
            for row in rows
        ]


def _attributes(given: dict[str, Any]) -> Attributes:
    return Attributes(
        name=given.get("name"),
        description=given.get("description"),
        status=given.get("status"),
        tags=given.get("tags"),
    )
