"""Projects over HTTP (api.md, section 3)."""

import uuid

from django.http import HttpResponse
from django_filters import CharFilter, ChoiceFilter, FilterSet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flowforge.api.idempotency import idempotent
from flowforge.api.pagination import Page
from flowforge.api.permissions import ANY_CALLER
from flowforge.api.serializers import body
from flowforge.api.views import ApiViewSet
from flowforge.core.json import Json
from flowforge.operating import selectors as operating
from flowforge.operating.bodies import FreezeBody, ThawBody
from flowforge.operating.services import freeze, thaw
from flowforge.projects import present, selectors
from flowforge.projects.api import docs
from flowforge.projects.api.serializers import NewProjectBody, ProjectBody
from flowforge.projects.models import Project
from flowforge.projects.scoping import get_visible
from flowforge.projects.services import projects


class ProjectFilters(FilterSet):
    status = ChoiceFilter(choices=Project.Status.choices)
    name = CharFilter(lookup_expr="icontains")


class ProjectViewSet(ApiViewSet):
    scopes = {
        "list": "projects:read",
        "create": ANY_CALLER,  # a person without any project may make the first; the service refuses most keys
        "retrieve": "projects:read",
        "partial_update": "projects:write",
        "destroy": "projects:write",
        "freeze": "runs:write",  # who may stop each run may stop them all
        "thaw": "runs:write",
    }
    filterset_class = ProjectFilters
    errors = {"partial_update": (409,), "thaw": (409,)}

    @extend_schema(**docs.PROJECTS)
    def list(self, request: Request) -> HttpResponse:
        """List my projects, newest first."""
        visible = selectors.with_team(Project.objects.visible_to(self.caller, "projects:read"))
        page = self.page(self.filtered(visible))
        holds = operating.holds_of([row.pk for row in page.rows])
        return self.ok(Page(rows=[present.project(row, holds.get(row.pk)) for row in page.rows], meta=page.meta))

    @extend_schema(**docs.NEW_PROJECT)
    @idempotent
    def create(self, request: Request) -> HttpResponse:
        """Make a project.

        Who makes it is its owner. API keys stay bound to their own project: one with the scope `admin` makes a project
        for the person who made the key, and doesn't see it.
        """
        made = projects.create_project(caller=self.caller, **body(NewProjectBody, request))
        shown = present.project(made)
        return self.created(shown, f"/v1/projects/{made.pk}", etag_of=shown)

    @extend_schema(**docs.PROJECT)
    def retrieve(self, request: Request, pk: uuid.UUID) -> HttpResponse:
        """Read a project with its team and settings."""
        shown = _shown(self._project(pk, "projects:read"))
        return self.ok(shown, etag_of=shown)

    @extend_schema(**docs.CHANGE_PROJECT)
    def partial_update(self, request: Request, pk: uuid.UUID) -> HttpResponse:
        """Change a project.

        Settings are changed name by name (null takes one away), the team as a whole; an owner must remain, and owners
        alone decide who is one. `status: active` brings an archived project back.
        """
        project = self._project(pk, "projects:write")
        changes = body(ProjectBody, request, partial=True)
        changed = projects.update_project(caller=self.caller, project=project, precondition=self._if_match, **changes)
        shown = _shown(changed)
        return self.ok(shown, etag_of=shown)

    @extend_schema(**docs.ARCHIVE_PROJECT)
    def destroy(self, request: Request, pk: uuid.UUID) -> HttpResponse:
        """Archive a project.

        It stays readable for its people; nothing in it can be changed or started, and its API keys end.
        """
        project = self._project(pk, "projects:write")
        projects.archive_project(project=project, precondition=self._if_match)
        return self.no_content()

    @extend_schema(**docs.FREEZE_PROJECT)
    def freeze(self, request: Request, pk: uuid.UUID) -> HttpResponse:
        """Freeze a project: no run and no step of it begins.

        Steps that run end as they would. Triggers are kept: runs that are started are accepted and wait. No attempt is
        used up, no timer and no timeout passes, approvals can be decided. With `until` it thaws by itself. Of what is
        frozen already, reason and end are changed.
        """
        given = body(FreezeBody, request)
        self._project(pk, "runs:write")
        freeze(scope="project", scope_id=pk, by=self.caller.name, **given)
        return self._answer(pk)

    @extend_schema(**docs.THAW_PROJECT)
    def thaw(self, request: Request, pk: uuid.UUID) -> HttpResponse:
        """Thaw a project.

        What was held back begins at that rate, highest priority first, then the oldest; what is started meanwhile
        queues behind it. Of what thaws already, the rate is changed. What is not frozen: 409.
        """
        given = body(ThawBody, request)
        self._project(pk, "runs:write")
        thaw(scope_id=pk, **given)
        return self._answer(pk)

    def _answer(self, pk: uuid.UUID) -> HttpResponse:
        shown = _shown(self._project(pk, "runs:write"))
        return self.ok(shown, etag_of=shown)

    def _if_match(self, project: Project) -> None:
        self.check_if_match(_shown(project))

    def _project(self, pk: uuid.UUID, scope: str) -> Project:
        return get_visible(selectors.with_team(Project.objects.all()), self.caller, pk, scope)


def _shown(project: Project) -> dict[str, Json]:
    return present.project(project, operating.hold_of(project.pk))
