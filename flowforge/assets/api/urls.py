"""Routes, relative to `/v1/`."""

from django.urls import path

from flowforge.assets.api.content_views import ContentViewSet, VersionViewSet
from flowforge.assets.api.views import AssetViewSet

_ONE = "assets/<uuid:asset_id>"
_listing = AssetViewSet.as_view({"get": "list", "post": "create"}, max_body_bytes=None)
_detail = AssetViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}, max_body_bytes=None)

urlpatterns = [
    path("assets", _listing),
    path("projects/<uuid:project_id>/assets", _listing),
    path(_ONE, _detail),
    path(f"{_ONE}:render", AssetViewSet.as_view({"post": "render"})),
    path(f"{_ONE}/content", ContentViewSet.as_view({"get": "download", "post": "upload", "put": "replace"})),
    path(f"{_ONE}/versions", VersionViewSet.as_view({"get": "list"})),
]
