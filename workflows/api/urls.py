"""Routes, relative to `/v1/`."""

from django.urls import path

from workflows.api.file_views import FileViewSet, StepTypeViewSet, ValidateViewSet
from workflows.api.freeze_views import FreezeViewSet
from workflows.api.gallery_views import GalleryViewSet
from workflows.api.graph_views import GraphViewSet
from workflows.api.parsers import IMPORT_PARSERS
from workflows.api.template_views import TemplateUpgradeViewSet, TemplateUsageViewSet
from workflows.api.version_views import VersionViewSet
from workflows.api.views import WorkflowViewSet

_ONE = "workflows/<uuid:workflow_id>"
_listing = WorkflowViewSet.as_view({"get": "list", "post": "create"})
_detail = WorkflowViewSet.as_view({"get": "retrieve", "put": "update", "patch": "partial_update", "delete": "destroy"})
_import = FileViewSet.as_view({"post": "import_files"}, parser_classes=IMPORT_PARSERS)

urlpatterns = [
    path("workflows", _listing, name="workflows"),
    path("projects/<uuid:project_id>/workflows", _listing, name="project-workflows"),
    path("workflows:validate", ValidateViewSet.as_view({"post": "validate_new"}), name="workflows-validate"),
    path("workflows:import", _import, name="workflows-import"),
    path(_ONE, _detail, name="workflow"),
    path(f"{_ONE}:duplicate", WorkflowViewSet.as_view({"post": "duplicate"}), name="workflow-duplicate"),
    path(f"{_ONE}:rollback", WorkflowViewSet.as_view({"post": "rollback"}), name="workflow-rollback"),
    path(f"{_ONE}:freeze", FreezeViewSet.as_view({"post": "freeze"}), name="workflow-freeze"),
    path(f"{_ONE}:thaw", FreezeViewSet.as_view({"post": "thaw"}), name="workflow-thaw"),
    path(f"{_ONE}:validate", ValidateViewSet.as_view({"post": "validate"}), name="workflow-validate"),
    path(f"{_ONE}:upgrade_templates", TemplateUpgradeViewSet.as_view({"post": "upgrade"}), name="workflow-upgrade"),
    path(f"{_ONE}/versions", VersionViewSet.as_view({"get": "list"}), name="workflow-versions"),
    path(f"{_ONE}/versions/<int:number>", VersionViewSet.as_view({"get": "retrieve"}), name="workflow-version"),
    path(f"{_ONE}/graph", GraphViewSet.as_view({"get": "graph"}), name="workflow-graph"),
    path(f"{_ONE}/export", FileViewSet.as_view({"get": "export"}), name="workflow-export"),
    path("templates/<uuid:template_id>/usage", TemplateUsageViewSet.as_view({"get": "usage"}), name="template-usage"),
    path("gallery", GalleryViewSet.as_view({"get": "list"}), name="gallery"),
    path("gallery/<slug:slug>", GalleryViewSet.as_view({"get": "retrieve"}), name="gallery-item"),
    path("gallery/<slug:slug>:install", GalleryViewSet.as_view({"post": "install"}), name="gallery-install"),
    path("step-types", StepTypeViewSet.as_view({"get": "list"}), name="step-types"),
]
