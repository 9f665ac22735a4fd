"""Routes, relative to `/v1/`."""

from django.urls import path

from workflows.api.file_views import FileViewSet, StepTypeViewSet, ValidateViewSet
from workflows.api.history_views import GraphViewSet, VersionViewSet
from workflows.api.parsers import IMPORT_PARSERS
from workflows.api.views import WorkflowViewSet

LISTING = {"get": "list", "post": "create"}

urlpatterns = [
    path("workflows", WorkflowViewSet.as_view(LISTING)),
    path("projects/<uuid:project_id>/workflows", WorkflowViewSet.as_view(LISTING)),
    path("workflows:validate", ValidateViewSet.as_view({"post": "create"})),
    path("workflows:import", FileViewSet.as_view({"post": "create"}, parser_classes=IMPORT_PARSERS)),
    path(
        "workflows/<uuid:workflow_id>",
        WorkflowViewSet.as_view({"get": "retrieve", "put": "update", "patch": "partial_update", "delete": "destroy"}),
    ),
    path("workflows/<uuid:workflow_id>:duplicate", WorkflowViewSet.as_view({"post": "duplicate"})),
    path("workflows/<uuid:workflow_id>:rollback", WorkflowViewSet.as_view({"post": "rollback"})),
    path("workflows/<uuid:workflow_id>:validate", ValidateViewSet.as_view({"post": "check_saved"})),
    path("workflows/<uuid:workflow_id>/versions", VersionViewSet.as_view({"get": "list"})),
    path("workflows/<uuid:workflow_id>/versions/<int:number>", VersionViewSet.as_view({"get": "retrieve"})),
    path("workflows/<uuid:workflow_id>/graph", GraphViewSet.as_view({"get": "retrieve"})),
    path("workflows/<uuid:workflow_id>/export", FileViewSet.as_view({"get": "retrieve"})),
    path("step-types", StepTypeViewSet.as_view({"get": "list"})),
]
