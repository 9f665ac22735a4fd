"""Routes below /v1/."""

from django.urls import path

from flowforge.projects.api.auth import MeViewSet, TokenViewSet
from flowforge.projects.api.keys import ApiKeyViewSet
from flowforge.projects.api.projects import ProjectViewSet

urlpatterns = [
    path("auth/token", TokenViewSet.as_view({"post": "obtain"}), name="auth-token"),
    path("auth/token/refresh", TokenViewSet.as_view({"post": "refresh"}), name="auth-token-refresh"),
    path("auth/token/revoke", TokenViewSet.as_view({"post": "revoke"}), name="auth-token-revoke"),
    path("auth/me", MeViewSet.as_view({"get": "retrieve"}), name="auth-me"),
    path("api-keys", ApiKeyViewSet.as_view({"get": "list", "post": "create"}), name="api-keys"),
    path("api-keys/<uuid:pk>", ApiKeyViewSet.as_view({"get": "retrieve", "delete": "destroy"}), name="api-key"),
    path("api-keys/<uuid:pk>:rotate", ApiKeyViewSet.as_view({"post": "rotate"}), name="api-key-rotate"),
    path("projects", ProjectViewSet.as_view({"get": "list", "post": "create"}), name="projects"),
    path(
        "projects/<uuid:pk>",
        ProjectViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
        name="project",
    ),
    path("projects/<uuid:pk>:freeze", ProjectViewSet.as_view({"post": "freeze"}), name="project-freeze"),
    path("projects/<uuid:pk>:thaw", ProjectViewSet.as_view({"post": "thaw"}), name="project-thaw"),
]
