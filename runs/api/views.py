"""Runs: list, read, steer, and what hangs below one of them."""

import uuid
from collections.abc import Callable
from dataclasses import replace

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flowforge.api.pagination import PageParams, page_params
from flowforge.api.serializers import body
from flowforge.core.errors import InvalidQuery, NotFound
from flowforge.operating.views import SteeringViews
from flowforge.projects.models import Project
from flowforge.projects.scoping import get_visible, require_visible
from runs import selectors
from runs.api import docs, filters
from runs.api.serializers import NoBody
from runs.constants import DEFAULT_EVENTS, INT32, MAX_EVENTS
from runs.present import Shown
from runs.services import cancel_run, pause_run, resume_run
from workflows.models import Workflow

READ = "runs:read"
WRITE = "runs:write"


class RunViews(SteeringViews):
    """What the views of runs share."""

    def answer_asked(self, run_id: uuid.UUID) -> HttpResponse:
        """202: the run as it is now; what was asked of it comes."""
        return self.accepted(self.shown(run_id), f"/v1/runs/{run_id}")

    def shown(self, run_id: uuid.UUID) -> Shown:
        """A run in full, read anew. Raises NotFound: it may have been deleted since."""
        row = selectors.read_run(run_id)
        if row is None:
            raise NotFound
        return selectors.show_run(row)


class RunListViews(RunViews):
    """The listing: `/v1/runs`, and the same nested under a project or a workflow."""

    scopes = {"list": READ}
    query_params = {"list": tuple(filters.FILTERS)}
    repeatable_params = filters.REPEATABLE

    def _known_query(self) -> set[str]:
        """The filters on metadata have names of the client's making."""
        known = set(super()._known_query())
        return known | filters.metadata_names(self.request.GET) if self.action == "list" else known

    @extend_schema(**docs.LIST)
    def list(
        self, request: Request, workflow_id: uuid.UUID | None = None, project_id: uuid.UUID | None = None
    ) -> HttpResponse:
        if workflow_id is None and project_id is None and request.GET.keys() <= {"limit"}:
            return self.ok(selectors.newest_runs(self.caller, page_params(request)))
        runs = selectors.visible_runs(self.caller)
        projects = self.caller.project_ids
        if workflow_id is not None:
            workflow = get_visible(Workflow.objects.all(), self.caller, workflow_id, READ)
            runs, projects = runs.filter(workflow=workflow), frozenset()
        if project_id is not None:
            project = get_visible(Project.objects.all(), self.caller, project_id, READ)
            runs, projects = runs.filter(project=project), frozenset()
        if not request.GET.keys().isdisjoint(filters.OF_ONE_PROJECT):
            projects = frozenset()
        chosen = filters.filtered(runs, request.GET)
        require_visible(Project.objects.all(), self.caller, request.GET.getlist("project_id"))
        require_visible(Workflow.objects.all(), self.caller, request.GET.getlist("workflow_id"))
        return self.ok(selectors.page_of_runs(chosen, page_params(request), projects))


class RunViewSet(RunListViews):
    """`/v1/runs`, `/v1/projects/{id}/runs`, and `/v1/runs/{id}` with its actions."""

    scopes = {"list": READ, "retrieve": READ, "cancel": WRITE, "pause": WRITE, "resume": WRITE}
    errors = {"cancel": (409,), "pause": (409,), "resume": (409,)}

    @extend_schema(**docs.RETRIEVE)
    def retrieve(self, request: Request, run_id: uuid.UUID) -> HttpResponse:
        row = selectors.get_run(self.caller, run_id, READ)
        shown = selectors.show_run(row, with_steps="steps" in self._included())
        return self.ok(shown, etag_of=shown)

    @extend_schema(**docs.CANCEL)
    def cancel(self, request: Request, run_id: uuid.UUID) -> HttpResponse:
        return self._ask(run_id, cancel_run)

    @extend_schema(**docs.PAUSE)
    def pause(self, request: Request, run_id: uuid.UUID) -> HttpResponse:
        return self._ask(run_id, pause_run)

    @extend_schema(**docs.RESUME)
    def resume(self, request: Request, run_id: uuid.UUID) -> HttpResponse:
        return self._ask(run_id, resume_run)

    def _ask(self, run_id: uuid.UUID, service: Callable[..., None]) -> HttpResponse:
        body(NoBody, self.request)
        selectors.get_run(self.caller, run_id, WRITE)
        service(run_id=run_id)
        return self.answer_asked(run_id)

    def _included(self) -> set[str]:
        """`?include=steps` is the default; `?include=` leaves them out. Raises InvalidQuery."""
        wanted = {name for name in self.request.GET.get("include", "steps").split(",") if name}
        if not wanted <= {"steps"}:
            raise InvalidQuery(detail="include is steps, or empty.")
        return wanted


class HistoryViewSet(RunViews):
    """`/v1/runs/{id}/steps`, `/steps/{step_id}/logs` and `/events`."""

    scopes = {"steps": READ, "logs": READ, "events": READ}
    query_params = {"events": ("after",)}

    @extend_schema(**docs.STEPS)
    def steps(self, request: Request, run_id: uuid.UUID) -> HttpResponse:
        row = selectors.get_run(self.caller, run_id, READ)
        return self.ok(selectors.page_of_steps(row, page_params(request)))

    @extend_schema(**docs.LOGS)
    def logs(self, request: Request, run_id: uuid.UUID, step_id: uuid.UUID) -> HttpResponse:
        row = selectors.get_run(self.caller, run_id, READ)
        return self.ok(selectors.page_of_logs(row, step_id, page_params(request)))

    @extend_schema(**docs.EVENTS)
    def events(self, request: Request, run_id: uuid.UUID) -> HttpResponse:
        row = selectors.get_run(self.caller, run_id, READ)
        return self.ok(selectors.page_of_events(row, self._after(), self._events_params()))

    def _events_params(self) -> PageParams:
        """History is read in larger pages than lists."""
        params = page_params(self.request, max_limit=MAX_EVENTS)
        return params if "limit" in self.request.GET else replace(params, limit=DEFAULT_EVENTS)

    def _after(self) -> int:
        """`?after=<seq>`. Raises InvalidQuery."""
        text = self.request.GET.get("after", "0")
        if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= INT32[1]):
            raise InvalidQuery(detail="after is the seq of an event, or 0.")
        return int(text)
