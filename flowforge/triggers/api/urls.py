"""Routes, relative to `/v1/`."""

from django.urls import path

from flowforge.triggers.api.views import EventTriggerViewSet

_ONE = "event-triggers/<uuid:trigger_id>"

urlpatterns = [
    path("event-triggers", EventTriggerViewSet.as_view({"get": "list", "post": "create"})),
    path(_ONE, EventTriggerViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"})),
    path(f"{_ONE}/decisions", EventTriggerViewSet.as_view({"get": "decisions"})),
]
