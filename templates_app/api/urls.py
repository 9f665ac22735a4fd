"""Routes, relative to `/v1/`."""

from django.urls import path

from templates_app.api.views import TemplateVersionViewSet, TemplateViewSet

_ONE = "templates/<uuid:template_id>"
_listing = TemplateViewSet.as_view({"get": "list", "post": "create"})
_detail = TemplateViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"})

urlpatterns = [
    path("templates", _listing, name="templates"),
    path("projects/<uuid:project_id>/templates", _listing, name="project-templates"),
    path(_ONE, _detail, name="template"),
    path(f"{_ONE}:render", TemplateViewSet.as_view({"post": "render"}), name="template-render"),
    path(f"{_ONE}/versions", TemplateVersionViewSet.as_view({"get": "list"}), name="template-versions"),
    path(
        f"{_ONE}/versions/<int:number>",
        TemplateVersionViewSet.as_view({"get": "retrieve"}),
        name="template-version",
    ),
]
