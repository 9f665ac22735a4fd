"""Versions of a workflow, and pictures of it."""

import uuid
from collections.abc import Mapping

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flowforge.api.pagination import Page
from flowforge.api.views import Bare
from flowforge.core.errors import InvalidQuery, NotFound
from flowforge.kernel import picture
from flowforge.kernel.definition import Definition
from workflows import present
from workflows.api import docs
from workflows.api.base import READ, WorkflowViews
from workflows.models import WorkflowVersion
from workflows.ports import runs_port
from workflows.selectors import VERSION_FIELDS, definition_of, get_version, get_workflow, versions_of
from workflows.services.diff import diff

# an SVG opened by itself is a document: nothing in it may run or load
SVG_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


class VersionViewSet(WorkflowViews):
    """`/v1/workflows/{id}/versions` and `/versions/{n}`."""

    scopes = {"list": READ, "retrieve": READ}
    query_params = {"retrieve": ("diff",)}

    @extend_schema(**docs.VERSIONS)
    def list(self, request: Request, workflow_id: uuid.UUID) -> HttpResponse:
        workflow = get_workflow(self.caller, workflow_id, READ)
        page = self.page(versions_of(workflow_id), key=("version",))
        rows = [present.version_row(row, workflow_id, workflow.version) for row in page.rows]
        return self.ok(Page(rows=rows, meta=page.meta))

    @extend_schema(**docs.VERSION)
    def retrieve(self, request: Request, workflow_id: uuid.UUID, number: int) -> HttpResponse:
        current = self.current(workflow_id)
        version = current if number == current.version else get_version(workflow_id, number)
        row = {name: getattr(version, name) for name in VERSION_FIELDS}
        shown = present.version_row(row, workflow_id, current.version) | {"definition": version.definition}
        if self.flag("diff"):
            shown["diff"] = {"to": current.version, **diff(version.definition, current.definition)}
        return self.ok(shown, etag_of=shown)


class GraphViewSet(WorkflowViews):
    """`/v1/workflows/{id}/graph`."""

    scopes = {"retrieve": READ}
    query_params = {"retrieve": ("run_id",)}
    produces = ("image/svg+xml", "text/plain")

    @extend_schema(**docs.GRAPH)
    def retrieve(self, request: Request, workflow_id: uuid.UUID) -> HttpResponse:
        chosen = self.choice("format", ("svg", "mermaid", "json"))
        definition, states = self._subject(self.current(workflow_id))
        if chosen == "json":
            return self.ok(picture.to_json(definition, states))
        if chosen == "mermaid":
            return Bare(picture.to_mermaid(definition, states), content_type="text/plain; charset=utf-8")
        headers = {"Content-Security-Policy": SVG_POLICY, "X-Content-Type-Options": "nosniff"}
        return Bare(picture.to_svg(definition, states), content_type="image/svg+xml", headers=headers)

    def _subject(self, current: WorkflowVersion) -> tuple[Definition, Mapping[str, str] | None]:
        """What to draw: the current version, or the one that a run of this workflow has, with its steps' states."""
        text = self.request.GET.get("run_id")
        if text is None:
            return definition_of(current.pk), None
        try:
            run_id = uuid.UUID(text)
        except ValueError:
            raise InvalidQuery(detail="run_id is no id.") from None
        found = runs_port().version_of(run_id)
        states = runs_port().step_states(run_id, self.caller)
        if found is None or states is None or found[0] != current.workflow_id:
            raise NotFound(detail="This workflow has no such run.")
        return definition_of(found[1]), states
