"""Ending steps from outside: approvals, outputs from elsewhere, forced results."""

import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flowforge.api.idempotency import idempotent
from flowforge.api.pagination import page_params
from flowforge.api.serializers import body
from flowforge.api.views import ApiViewSet
from flowforge.core.errors import InvalidQuery
from flowforge.projects.models import Project
from flowforge.projects.scoping import ScopedQuerySet, require_visible
from runs import selectors, waits
from runs.api import outside_docs as docs
from runs.api.serializers import DecisionBody, OutputBody, OverrideBody
from runs.api.views import WRITE, RunViews
from runs.models import Run
from runs.services import complete_step, decide_approval, override_step
from workflows.models import Workflow

# of the listing of approvals: parameter -> (column, the rows that it names one of)
FILTERS: Final[Mapping[str, tuple[str, Callable[[], ScopedQuerySet[Any]]]]] = {
    "project_id": ("run__project_id", Project.objects.all),
    "workflow_id": ("run__workflow_id", Workflow.objects.all),
    "run_id": ("run_id", Run.objects.all),
}


class StepActionViewSet(RunViews):
    """`/v1/runs/{id}/steps/{step_id}:approve`, `:reject`, `:complete` and `:override`."""

    scopes = {"approve": WRITE, "reject": WRITE, "complete": WRITE, "override": WRITE}

    @extend_schema(**docs.APPROVE)
    @idempotent
    def approve(self, request: Request, run_id: uuid.UUID, step_id: uuid.UUID) -> HttpResponse:
        return self._decide(run_id, step_id, "approved")

    @extend_schema(**docs.REJECT)
    @idempotent
    def reject(self, request: Request, run_id: uuid.UUID, step_id: uuid.UUID) -> HttpResponse:
        return self._decide(run_id, step_id, "rejected")

    @extend_schema(**docs.COMPLETE)
    @idempotent
    def complete(self, request: Request, run_id: uuid.UUID, step_id: uuid.UUID) -> HttpResponse:
        run = selectors.get_run(self.caller, run_id, WRITE)
        complete_step(run=run, step_id=step_id, caller=self.caller, **body(OutputBody, request))
        return self.answer_asked(run_id)

    @extend_schema(**docs.OVERRIDE)
    @idempotent
    def override(self, request: Request, run_id: uuid.UUID, step_id: uuid.UUID) -> HttpResponse:
        run = selectors.get_run(self.caller, run_id, WRITE)
        override_step(run=run, step_id=step_id, caller=self.caller, **body(OverrideBody, request))
        return self.answer_asked(run_id)

    def _decide(self, run_id: uuid.UUID, step_id: uuid.UUID, decision: Literal["approved", "rejected"]) -> HttpResponse:
        run = selectors.get_run(self.caller, run_id, WRITE)
        given = body(DecisionBody, self.request)
        decide_approval(run=run, step_id=step_id, decision=decision, caller=self.caller, **given)
        return self.answer_asked(run_id)


class ApprovalViewSet(ApiViewSet):
    """`/v1/approvals`: what waits for the caller."""

    scopes = {"list": WRITE}
    query_params = {"list": tuple(FILTERS)}

    @extend_schema(**docs.APPROVALS)
    def list(self, request: Request) -> HttpResponse:
        found = waits.open_approvals(self.caller, WRITE)
        for name, (path, rows) in FILTERS.items():
            if name in request.GET:
                found = found.filter(**{path: self._id(name)})
                require_visible(rows(), self.caller, [request.GET[name]])
        return self.ok(waits.page_of_approvals(found, page_params(request)))

    def _id(self, name: str) -> uuid.UUID:
        """Raises InvalidQuery."""
        try:
            return uuid.UUID(self.request.GET[name])
        except ValueError:
            raise InvalidQuery(detail=f"{name} is not an id.") from None
