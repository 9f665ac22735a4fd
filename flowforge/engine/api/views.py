"""What the engine says of itself: reads of its own decisions."""

import uuid

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flowforge.api.views import ApiViewSet
from flowforge.core import clock
from flowforge.engine.api import docs, present
from flowforge.engine.explain import explain
from flowforge.engine.limits import limits_of_project
from flowforge.projects.models import Project
from flowforge.projects.scoping import get_visible
from runs.selectors import get_run

READ = "runs:read"


class ExplainViewSet(ApiViewSet):
    """`/v1/runs/{id}/explain`."""

    scopes = {"explain": READ}

    @extend_schema(**docs.EXPLAIN)
    def explain(self, request: Request, run_id: uuid.UUID) -> HttpResponse:
        get_run(self.caller, run_id, READ)
        return self.ok(present.explanation(explain(run_id, clock.now())))


class LimitsViewSet(ApiViewSet):
    """`/v1/projects/{id}/limits`."""

    scopes = {"limits": READ}

    @extend_schema(**docs.LIMITS)
    def limits(self, request: Request, project_id: uuid.UUID) -> HttpResponse:
        project = get_visible(Project.objects.all(), self.caller, project_id, READ)
        return self.ok([present.limit(each) for each in limits_of_project(project, clock.now())])
