"""Routes, relative to `/v1/`."""

from typing import Any

from django.urls import path

from runs.api.event_views import EventViewSet
from runs.api.failure_views import FailureViewSet
from runs.api.start_views import WorkflowRunViewSet
from runs.api.steering_views import BulkViewSet, SteeringViewSet
from runs.api.step_views import ApprovalViewSet, StepActionViewSet
from runs.api.views import HistoryViewSet, RunViewSet

Actions = dict[str, Any]

LIST: Actions = {"get": "list"}
START: Actions = {"post": "start"}

STEP = "runs/<uuid:run_id>/steps/<uuid:step_id>"

urlpatterns = [
    path("workflows/<uuid:workflow_id>:run", WorkflowRunViewSet.as_view(START)),
    path("runs", RunViewSet.as_view(LIST)),
    path("projects/<uuid:project_id>/runs", RunViewSet.as_view(LIST)),
    path("runs:bulk", BulkViewSet.as_view({"post": "bulk"})),
    path("runs/<uuid:run_id>", SteeringViewSet.as_view({"get": "retrieve", "patch": "partial_update"})),
    path("runs/<uuid:run_id>:retry", SteeringViewSet.as_view({"post": "retry"})),
    path("runs/<uuid:run_id>:replay", SteeringViewSet.as_view({"post": "replay"})),
    path("runs/<uuid:run_id>:run_now", SteeringViewSet.as_view({"post": "run_now"})),
    path("runs/<uuid:run_id>:cancel", RunViewSet.as_view({"post": "cancel"})),
    path("runs/<uuid:run_id>:pause", RunViewSet.as_view({"post": "pause"})),
    path("runs/<uuid:run_id>:resume", RunViewSet.as_view({"post": "resume"})),
    path("runs/<uuid:run_id>/steps", HistoryViewSet.as_view({"get": "steps"})),
    path(f"{STEP}/logs", HistoryViewSet.as_view({"get": "logs"})),
    path(f"{STEP}:approve", StepActionViewSet.as_view({"post": "approve"})),
    path(f"{STEP}:reject", StepActionViewSet.as_view({"post": "reject"})),
    path(f"{STEP}:complete", StepActionViewSet.as_view({"post": "complete"})),
    path(f"{STEP}:override", StepActionViewSet.as_view({"post": "override"})),
    path("approvals", ApprovalViewSet.as_view(LIST)),
    path("events", EventViewSet.as_view({"post": "publish"})),
    path("events/<uuid:event_id>", EventViewSet.as_view({"get": "retrieve"})),
    path("events/<uuid:event_id>/decisions", EventViewSet.as_view({"get": "decisions"})),
    path("runs/<uuid:run_id>/events", HistoryViewSet.as_view({"get": "events"})),
    path("failures", FailureViewSet.as_view({"get": "list"})),
    path("failures/<uuid:failure_id>", FailureViewSet.as_view({"get": "retrieve"})),
    path("failures/<uuid:failure_id>:retry", FailureViewSet.as_view({"post": "retry"})),
    path("failures/<uuid:failure_id>:resolve", FailureViewSet.as_view({"post": "resolve"})),
    path(
        "workflows/<uuid:workflow_id>/runs",
        WorkflowRunViewSet.as_view(LIST | START, operation_ids={"start": "workflows_runs_create"}),
    ),
    path("workflows/<uuid:workflow_id>/runs:batch", WorkflowRunViewSet.as_view({"post": "batch"})),
    path("workflows/<uuid:workflow_id>/execute", WorkflowRunViewSet.as_view({"post": "execute"})),
]
