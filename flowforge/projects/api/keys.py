"""API keys over HTTP (api.md, section 2)."""

import uuid

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flowforge.api.idempotency import idempotent
from flowforge.api.pagination import Page
from flowforge.api.serializers import body
from flowforge.api.views import ApiViewSet
from flowforge.projects import present, selectors
from flowforge.projects.api import docs
from flowforge.projects.api.serializers import NewApiKeyBody, RotationBody
from flowforge.projects.models import ApiKey, Project
from flowforge.projects.scoping import get_visible
from flowforge.projects.services import keys

SCOPE = "keys:write"  # reading too: who sees the keys sees what could be attacked


class ApiKeyViewSet(ApiViewSet):
    scopes = dict.fromkeys(("list", "create", "retrieve", "destroy", "rotate"), SCOPE)
    query_params = {"list": ("project_id",)}

    @extend_schema(**docs.KEYS)
    def list(self, request: Request) -> HttpResponse:
        """List API keys, newest first.

        Those of the projects whose keys the caller may manage; ended ones too.
        """
        found = ApiKey.objects.visible_to(self.caller, SCOPE)
        project_id = request.query_params.get("project_id")
        if project_id is not None:
            found = found.filter(project=get_visible(Project.objects.all(), self.caller, project_id, SCOPE))
        page = self.page(found)
        return self.ok(Page(rows=[present.api_key(row) for row in page.rows], meta=page.meta))

    @extend_schema(**docs.NEW_KEY)
    @idempotent
    def create(self, request: Request) -> HttpResponse:
        """Make an API key.

        No key can do more than who makes it, nor later than that person still can. The key itself is in this answer
        and nowhere else.
        """
        given = body(NewApiKeyBody, request)
        project = selectors.resolve_project(self.caller, given.pop("project_id", None), scope=SCOPE)
        row, text = keys.create_key(caller=self.caller, project=project, **given)
        return self._new(row, text)

    @extend_schema(**docs.KEY)
    def retrieve(self, request: Request, pk: uuid.UUID) -> HttpResponse:
        """Read an API key, without the key itself."""
        shown = present.api_key(self._key(pk))
        return self.ok(shown, etag_of=shown)

    @extend_schema(**docs.REVOKE_KEY)
    def destroy(self, request: Request, pk: uuid.UUID) -> HttpResponse:
        """Revoke an API key.

        It is refused everywhere within a second.
        """
        key = self._key(pk)
        keys.revoke_key(key=key, precondition=lambda row: self.check_if_match(present.api_key(row)))
        return self.no_content()

    @extend_schema(**docs.ROTATE_KEY)
    @idempotent
    def rotate(self, request: Request, pk: uuid.UUID) -> HttpResponse:
        """Replace an API key.

        The successor has the same name and scopes and lives as long as the old key was given. The old key goes on for
        `overlap`, 24 hours unless given, at most 7 days.
        """
        key = self._key(pk)
        row, text = keys.rotate_key(caller=self.caller, key=key, **body(RotationBody, request))
        return self._new(row, text)

    def _key(self, pk: uuid.UUID) -> ApiKey:
        return get_visible(ApiKey.objects.all(), self.caller, pk, SCOPE)

    def _new(self, row: ApiKey, text: str) -> HttpResponse:
        return self.created(present.api_key(row, text=text), f"/v1/api-keys/{row.pk}", etag_of=present.api_key(row))
