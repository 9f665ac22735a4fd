"""Routes below /v1/."""

from django.urls import path

from flowforge.insights.api.views import MonitoringViewSet

urlpatterns = [
    path("monitoring/health", MonitoringViewSet.as_view({"get": "health"}), name="monitoring-health"),
]
