"""Pictures of a workflow."""

import uuid
from collections.abc import Mapping

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flowforge.api.views import Bare
from flowforge.core.errors import InvalidQuery, NotFound
from flowforge.kernel import picture
from flowforge.kernel.definition import Definition
from workflows.api import docs
from workflows.api.base import READ, WorkflowViews
from workflows.models import WorkflowVersion
from workflows.ports import runs_port
from workflows.selectors import definition_of

# an SVG opened by itself is a document: nothing in it may run or load
SVG_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


class GraphViewSet(WorkflowViews):
    """`/v1/workflows/{id}/graph`."""

    scopes = {"graph": READ}
    query_params = {"graph": ("run_id",)}
    produces = ("image/svg+xml", "text/plain")

    @extend_schema(**docs.GRAPH)
    def graph(self, request: Request, workflow_id: uuid.UUID) -> HttpResponse:
        """Draw a workflow, as SVG, Mermaid text or JSON with places and sizes.

        With `run_id`: the version that this run has, coloured by the state of its steps.
        """
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
