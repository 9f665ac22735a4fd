"""Groups of failures that are alike: list, read, retry their runs, resolve."""

import uuid
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from django_filters import ChoiceFilter, FilterSet, UUIDFilter
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flowforge.api.pagination import Page
from flowforge.api.serializers import body
from flowforge.operating.views import SteeringViews
from flowforge.projects.models import Project
from flowforge.projects.scoping import require_visible
from runs import failures
from runs.api import steering_docs as docs
from runs.api.serializers import NoBody
from runs.api.steering_views import show_result
from runs.api.views import READ, WRITE
from runs.models import FailureGroup
from runs.services import resolve_failure, retry_failure
from workflows.models import Workflow


class FailureFilters(FilterSet):
    """`status, workflow_id, project_id`."""

    status = ChoiceFilter(choices=FailureGroup.Status.choices, help_text="open or resolved.")
    workflow_id = UUIDFilter(field_name="workflow_id")
    project_id = UUIDFilter(field_name="project_id")


class FailureViewSet(SteeringViews):
    """`/v1/failures`, `/v1/failures/{id}`, `:retry` and `:resolve`."""

    scopes = {"list": READ, "retrieve": READ, "retry": WRITE, "resolve": WRITE}
    filterset_class = FailureFilters
    page_key = failures.PAGE_KEY

    @extend_schema(**docs.FAILURES_LIST)
    def list(self, request: Request) -> HttpResponse:
        rows: QuerySet[Any, Any] = failures.visible_failures(self.caller)
        chosen = self.filtered(rows)
        require_visible(Project.objects.all(), self.caller, request.GET.getlist("project_id"))
        require_visible(Workflow.objects.all(), self.caller, request.GET.getlist("workflow_id"))
        page = self.page(chosen)
        return self.ok(Page(rows=[failures.show(row) for row in page.rows], meta=page.meta))

    @extend_schema(**docs.FAILURES_RETRIEVE)
    def retrieve(self, request: Request, failure_id: uuid.UUID) -> HttpResponse:
        shown = failures.show(failures.get_failure(self.caller, failure_id, READ))
        return self.ok(shown, etag_of=shown)

    @extend_schema(**docs.FAILURES_RETRY)
    def retry(self, request: Request, failure_id: uuid.UUID) -> HttpResponse:
        body(NoBody, request)
        failures.get_failure(self.caller, failure_id, WRITE)
        result = retry_failure(failure_id=failure_id, caller_actor=self.caller.actor)
        return self.ok({"action": "retry", "dry_run": False, **show_result(result)})

    @extend_schema(**docs.FAILURES_RESOLVE)
    def resolve(self, request: Request, failure_id: uuid.UUID) -> HttpResponse:
        body(NoBody, request)
        failures.get_failure(self.caller, failure_id, WRITE)
        resolve_failure(failure_id=failure_id)
        shown = failures.show(failures.get_failure(self.caller, failure_id, WRITE))
        return self.ok(shown, etag_of=shown)
