"""Routes, relative to `/v1/`."""

from django.urls import path

from flowforge.credentials.api.views import CredentialViewSet

urlpatterns = [
    path("credentials", CredentialViewSet.as_view({"get": "list", "post": "create"})),
    path(
        "credentials/<uuid:credential_id>",
        CredentialViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
    ),
]
