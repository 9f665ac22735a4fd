"""Versions of a workflow."""

import uuid

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flowforge.api.pagination import Page
from workflows import present
from workflows.api import docs
from workflows.api.base import READ, WorkflowViews
from workflows.selectors import VERSION_FIELDS, get_version, get_workflow, versions_of
from workflows.services.diff import diff


class VersionViewSet(WorkflowViews):
    """`/v1/workflows/{id}/versions` and `/versions/{n}`."""

    scopes = {"list": READ, "retrieve": READ}
    query_params = {"retrieve": ("diff",)}

    @extend_schema(**docs.VERSIONS)
    def list(self, request: Request, workflow_id: uuid.UUID) -> HttpResponse:
        """List a workflow's versions, newest first, without their definitions."""
        workflow = get_workflow(self.caller, workflow_id, READ)
        page = self.page(versions_of(workflow_id), key=("version",))
        rows = [present.version_row(row, workflow_id, workflow.version) for row in page.rows]
        return self.ok(Page(rows=rows, meta=page.meta))

    @extend_schema(**docs.VERSION)
    def retrieve(self, request: Request, workflow_id: uuid.UUID, number: int) -> HttpResponse:
        """Read a version, with its definition.

        With `diff=true` also the way from it to the current one: nodes (by id) and edges (by their ends) added, removed
        and changed, and operations after RFC 6902 that tell the old value and the new.
        """
        current = self.current(workflow_id)
        version = current if number == current.version else get_version(workflow_id, number)
        row = {name: getattr(version, name) for name in VERSION_FIELDS}
        shown = present.version_row(row, workflow_id, current.version) | {"definition": version.definition}
        if self.flag("diff"):
            shown["diff"] = {"to": current.version, **diff(version.definition, current.definition)}
        return self.ok(shown, etag_of=shown)
