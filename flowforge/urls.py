"""All routes. Each app's `api/urls.py` is relative to `/v1/`; paths have no trailing slash."""

from importlib.util import find_spec

from django.contrib import admin
from django.urls import include, path

from flowforge.api import health

_APPS = [name for name in ("flowforge.projects", "workflows", "runs") if find_spec(f"{name}.api.urls")]

urlpatterns = [
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    path("v1/", include("flowforge.api.documents")),
    *(path("v1/", include(f"{name}.api.urls")) for name in _APPS),
    path("admin/", admin.site.urls),
]
