"""Routes, relative to `/v1/`."""

from django.urls import path

from flowforge.alerts.api.views import AlertViewSet

urlpatterns = [
    path("alerts", AlertViewSet.as_view({"get": "list", "post": "create"})),
    path(
        "alerts/<uuid:alert_id>",
        AlertViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
    ),
]
