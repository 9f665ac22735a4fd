"""Routes, relative to `/v1/`."""

from django.urls import path

from flowforge.events.api.views import EventSchemaViewSet

urlpatterns = [path("events/schema", EventSchemaViewSet.as_view({"get": "asyncapi"}), name="events-schema")]
