"""All routes. Each app's `api/urls.py` is relative to `/v1/`; paths have no trailing slash."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from flowforge.api import health

urlpatterns = [
    path("", RedirectView.as_view(url="/v1/docs")),
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    # in this order they are tried: what is asked for most comes first
    path("v1/", include("runs.api.urls")),
    path("v1/", include("workflows.api.urls")),
    path("v1/", include("flowforge.api.documents")),
    path("v1/", include("flowforge.events.api.urls")),
    path("v1/", include("flowforge.projects.api.urls")),
    path("v1/", include("flowforge.assets.api.urls")),
    path("v1/", include("flowforge.credentials.api.urls")),
    path("v1/", include("templates_app.api.urls")),
    path("v1/", include("flowforge.triggers.api.urls")),
    path("v1/", include("flowforge.engine.api.urls")),
    path("v1/", include("flowforge.schedules.api.urls")),
    path("v1/", include("webhooks.api.urls")),
    path("v1/", include("flowforge.alerts.api.urls")),
    path("v1/", include("flowforge.insights.api.urls")),
    path("admin/", admin.site.urls),
]
