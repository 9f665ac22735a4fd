"""Routes, relative to `/v1/`."""

from django.urls import path

from flowforge.engine.api.views import ExplainViewSet, LimitsViewSet

urlpatterns = [
    path("runs/<uuid:run_id>/explain", ExplainViewSet.as_view({"get": "explain"})),
    path("projects/<uuid:project_id>/limits", LimitsViewSet.as_view({"get": "limits"})),
]
