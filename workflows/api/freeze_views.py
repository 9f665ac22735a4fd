"""The red button of one workflow."""

import uuid

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flowforge.api.serializers import body
from flowforge.operating.bodies import FreezeBody, ThawBody
from flowforge.operating.services import freeze, thaw
from workflows.api import docs
from workflows.api.base import WorkflowViews
from workflows.selectors import get_workflow

STEER = "runs:write"  # who may stop each run may stop them all


class FreezeViewSet(WorkflowViews):
    """`/v1/workflows/{id}:freeze` and `:thaw`."""

    scopes = {"freeze": STEER, "thaw": STEER}
    errors = {"thaw": (409,)}

    @extend_schema(**docs.FREEZE)
    def freeze(self, request: Request, workflow_id: uuid.UUID) -> HttpResponse:
        """Freeze a workflow: no run and no step of it begins.

        Steps that run end as they would. Triggers are kept: runs that are started are accepted and wait. No attempt is
        used up, no timer and no timeout passes, approvals can be decided. With `until` it thaws by itself. Of what is
        frozen already, reason and end are changed.
        """
        given = body(FreezeBody, request)
        get_workflow(self.caller, workflow_id, STEER)
        freeze(scope="workflow", scope_id=workflow_id, by=self.caller.name, **given)
        return self.answer(self.current(workflow_id, STEER))

    @extend_schema(**docs.THAW)
    def thaw(self, request: Request, workflow_id: uuid.UUID) -> HttpResponse:
        """Thaw a workflow.

        What was held back begins at that rate, highest priority first, then the oldest; what is started meanwhile
        queues behind it. Of what thaws already, the rate is changed. What is not frozen: 409.
        """
        given = body(ThawBody, request)
        get_workflow(self.caller, workflow_id, STEER)
        thaw(scope_id=workflow_id, **given)
        return self.answer(self.current(workflow_id, STEER))
