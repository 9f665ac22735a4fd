"""Credentials: list, create, read without what they hold, change, remove."""

import uuid

from django.db.models import QuerySet
from django.http import HttpResponse
from django_filters import CharFilter, ChoiceFilter, FilterSet, UUIDFilter
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flowforge.api.http import names_edited
from flowforge.api.idempotency import idempotent
from flowforge.api.pagination import Page
from flowforge.api.serializers import body
from flowforge.api.views import ApiViewSet
from flowforge.core.errors import PreconditionFailed
from flowforge.credentials import present, selectors
from flowforge.credentials.api import docs
from flowforge.credentials.api.serializers import CredentialBody, NewCredentialBody
from flowforge.credentials.constants import TYPES
from flowforge.credentials.models import Credential
from flowforge.credentials.services import saving
from flowforge.projects.models import Project
from flowforge.projects.scoping import require_visible
from flowforge.projects.selectors import resolve_project

READ = "credentials:read"
WRITE = "credentials:write"


class CredentialFilters(FilterSet):
    """`project_id, name (contains), type`."""

    project_id = UUIDFilter(field_name="project_id")
    name = CharFilter(field_name="name", lookup_expr="icontains", help_text="Contained, in any case.")
    type = ChoiceFilter(choices=[(kind, kind) for kind in TYPES])


class CredentialViewSet(ApiViewSet):
    """`/v1/credentials`, `/v1/credentials/{id}`."""

    scopes = {"list": READ, "create": WRITE, "retrieve": READ, "partial_update": WRITE, "destroy": WRITE}
    filterset_class = CredentialFilters
    errors = {"create": (409,), "partial_update": (409,)}

    @extend_schema(**docs.LIST)
    def list(self, request: Request) -> HttpResponse:
        """List credentials, newest first.

        What they hold is in no answer, whoever asks.
        """
        rows: QuerySet[Credential] = self.filtered(Credential.objects.visible_to(self.caller, READ))
        require_visible(Project.objects.all(), self.caller, request.GET.getlist("project_id"))
        page = self.page(rows)
        return self.ok(Page(rows=[present.credential(row) for row in page.rows], meta=page.meta))

    @extend_schema(**docs.CREATE)
    @idempotent
    def create(self, request: Request) -> HttpResponse:
        """Create a credential.

        What it holds is encrypted before it is stored, and never shown again. Steps of the project's workflows read it
        as `credentials.<name>.<field>`, or name it as their `credential`; it is sent to its `hosts` alone.
        """
        given = body(NewCredentialBody, request)
        project = resolve_project(self.caller, given.pop("project_id", None), scope=WRITE)
        made = saving.create_credential(project=project, caller=self.caller, given=given)
        return self._answer(made, status=201, headers={"Location": f"/v1/credentials/{made.pk}"})

    @extend_schema(**docs.RETRIEVE)
    def retrieve(self, request: Request, credential_id: uuid.UUID) -> HttpResponse:
        """Read a credential, without what it holds."""
        return self._answer(selectors.get_credential(self.caller, credential_id))

    @extend_schema(**docs.PATCH)
    def partial_update(self, request: Request, credential_id: uuid.UUID) -> HttpResponse:
        """Change a credential.

        What the body leaves out stays. `data` replaces all that it held, which is how a secret is rotated: steps that
        begin from now on use the new one. A later `expires_at` makes an expired credential good again.
        """
        selectors.get_credential(self.caller, credential_id, WRITE)
        given = body(CredentialBody, request, partial=True)
        row = saving.update_credential(
            credential_id=credential_id, caller=self.caller, given=given, precondition=self._if_match
        )
        return self._answer(row)

    @extend_schema(**docs.DESTROY)
    def destroy(self, request: Request, credential_id: uuid.UUID) -> HttpResponse:
        """Remove a credential.

        For good: steps that name it fail from now on.
        """
        selectors.get_credential(self.caller, credential_id, WRITE)
        saving.delete_credential(credential_id=credential_id, precondition=self._if_match)
        return self.no_content()

    def _if_match(self, row: Credential) -> None:
        """Raises PreconditionFailed (412) if the client means another state; services call it under the lock."""
        asked = self.request.META.get("HTTP_IF_MATCH")
        if asked is not None and not names_edited(asked, present.edited(row)):
            raise PreconditionFailed(detail="If-Match names another state of this credential: read it again.")

    def _answer(self, row: Credential, *, status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
        return self.ok(present.credential(row), tag=present.tag_of(row), status=status, headers=headers)
