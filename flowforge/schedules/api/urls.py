"""Routes, relative to `/v1/`."""

from django.urls import path

from flowforge.schedules.api.tick_views import BackfillViewSet, TickViewSet
from flowforge.schedules.api.views import ScheduleViewSet

_ONE = "schedules/<uuid:schedule_id>"
_BACKFILL = f"{_ONE}/backfills/<uuid:backfill_id>"
_listing = ScheduleViewSet.as_view({"get": "list", "post": "create"})

urlpatterns = [
    path("schedules", _listing),
    path("projects/<uuid:project_id>/schedules", _listing),
    path("schedules:simulate", TickViewSet.as_view({"post": "simulate"})),
    path(_ONE, ScheduleViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"})),
    path(f"{_ONE}:pause", ScheduleViewSet.as_view({"post": "pause"})),
    path(f"{_ONE}:resume", ScheduleViewSet.as_view({"post": "resume"})),
    path(f"{_ONE}:trigger", TickViewSet.as_view({"post": "trigger"})),
    path(f"{_ONE}:backfill", BackfillViewSet.as_view({"post": "create"})),
    path(f"{_ONE}/preview", TickViewSet.as_view({"get": "preview"})),
    path(f"{_ONE}/explain", TickViewSet.as_view({"get": "explain"})),
    path(f"{_ONE}/decisions", TickViewSet.as_view({"get": "decisions"})),
    path(f"{_ONE}/backfills", BackfillViewSet.as_view({"get": "list"})),
    path(_BACKFILL, BackfillViewSet.as_view({"get": "retrieve"})),
    path(f"{_BACKFILL}:cancel", BackfillViewSet.as_view({"post": "cancel"})),
]
