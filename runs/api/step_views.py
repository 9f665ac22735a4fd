"""Ending steps from outside: approvals, outputs from elsewhere, forced results."""

import uuid
from typing import Literal

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flowforge.api.idempotency import idempotent
from flowforge.api.pagination import page_params
from flowforge.api.serializers import body
from flowforge.api.views import ApiViewSet
from flowforge.core.errors import InvalidQuery
from runs import selectors, waits
from runs.api import outside_docs as docs
from runs.api.serializers import DecisionBody, OutputBody, OverrideBody
from runs.api.views import WRITE, RunViews
from runs.services import complete_step, decide_approval, override_step


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
    query_params = {"list": ("project_id", "workflow_id", "run_id")}

    @extend_schema(**docs.APPROVALS)
    def list(self, request: Request) -> HttpResponse:
        found = waits.open_approvals(self.caller, WRITE)
        for name in self.query_params["list"]:
            if name in request.GET:
                found = found.filter(**{name if name == "run_id" else f"run__{name}": self._id(name)})
        return self.ok(waits.page_of_approvals(found, page_params(request)))

    def _id(self, name: str) -> uuid.UUID:
        try:
            return uuid.UUID(self.request.GET[name])
        except ValueError:
            raise InvalidQuery(detail=f"{name} is not an id.") from None
