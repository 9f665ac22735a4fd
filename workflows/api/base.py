"""What the views of workflows share."""

import uuid
from collections.abc import Mapping

from django.http import HttpResponse

from flowforge.api import http
from flowforge.api.views import ApiViewSet
from flowforge.core.errors import InvalidQuery, PreconditionFailed
from flowforge.operating import selectors as operating
from flowforge.projects.models import Project
from flowforge.projects.scoping import get_visible
from workflows import present
from workflows.models import WorkflowVersion
from workflows.ports import runs_port
from workflows.selectors import current_version

READ = "workflows:read"
WRITE = "workflows:write"


class WorkflowViews(ApiViewSet):
    """Finding one workflow, and answering with it."""

    def current(self, workflow_id: uuid.UUID, scope: str = READ) -> WorkflowVersion:
        """The current version of a workflow that the caller may see (404) and use with `scope` (403)."""
        version = current_version(workflow_id, caller=self.caller)
        self.caller.require(scope, version.workflow.project_id)
        return version

    def meant_project(self, project_id: uuid.UUID | str | None) -> Project | None:
        """The project that a reading call means: the one given (404 if unseen), else the caller's only one."""
        chosen = project_id or self.caller.sole_project_id
        return None if chosen is None else get_visible(Project.objects.all(), self.caller, chosen, READ)

    def answer(
        self, version: WorkflowVersion, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> HttpResponse:
        """The workflow with its tag; 304 where the client has it already."""
        shown = self._shown(version)
        tag = present.tag_of(shown)
        asked = self.request.META.get("HTTP_IF_NONE_MATCH")
        if asked is not None and self.request.method in ("GET", "HEAD"):
            matched = http.matched_weakly(asked, tag)
            if matched is not None:
                return HttpResponse(status=304, headers={"ETag": matched})
        return self.ok(shown, status=status, headers={"ETag": tag, **(headers or {})})

    def answer_created(self, version: WorkflowVersion) -> HttpResponse:
        return self.answer(version, status=201, headers={"Location": f"/v1/workflows/{version.workflow_id}"})

    def if_match(self, version: WorkflowVersion) -> None:
        """Raises PreconditionFailed (412) if the client means another state; services call it under the lock."""
        asked = self.request.META.get("HTTP_IF_MATCH")
        if asked is not None and not present.names_state(asked, self._shown(version)):
            raise PreconditionFailed(detail="If-Match names another state of this workflow: read it again.")

    def _shown(self, version: WorkflowVersion) -> dict[str, object]:
        last = runs_port().last_runs([version.workflow_id]).get(version.workflow_id)
        return present.whole(version, last, operating.hold_of(version.workflow_id))

    # --- query parameters ----------------------------------------------------------------------------------------

    def flag(self, name: str) -> bool:
        """`?name=true`. Raises InvalidQuery."""
        return self.choice(name, ("false", "true")) == "true"

    def choice(self, name: str, options: tuple[str, ...], default: str | None = None) -> str:
        """One of `options`; the first unless the client says so. Raises InvalidQuery."""
        value: str = self.request.GET.get(name, default or options[0])
        if value not in options:
            raise InvalidQuery(detail=f"{name} is one of {', '.join(options)}.")
        return value
