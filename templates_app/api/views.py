"""Step templates: list, create, read, change, archive, render; and their versions."""

import uuid
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from django_filters import CharFilter, ChoiceFilter, FilterSet, UUIDFilter
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flowforge.api import http
from flowforge.api.idempotency import idempotent
from flowforge.api.pagination import Page
from flowforge.api.serializers import body
from flowforge.api.views import ApiViewSet
from flowforge.core.errors import InvalidQuery
from flowforge.projects.models import Project
from flowforge.projects.scoping import get_visible, require_visible
from flowforge.projects.selectors import project_to_write
from templates_app import present
from templates_app.api import docs
from templates_app.api.serializers import NewTemplateBody, RenderTemplateBody, TemplateBody
from templates_app.models import StepTemplate, StepTemplateVersion
from templates_app.selectors import current_versions, get_template, get_version
from templates_app.services import saving
from templates_app.services.rendering import render_template

READ = "templates:read"
WRITE = "templates:write"

Rows = QuerySet[Any, Any]


class TemplateFilters(FilterSet):
    """`project_id, name (contains), step_type, archived`."""

    project_id = UUIDFilter(field_name="project_id")
    name = CharFilter(field_name="name", lookup_expr="icontains", help_text="Contained, in any case.")
    step_type = CharFilter(field_name="step_type")
    archived = ChoiceFilter(
        choices=[("false", "false"), ("true", "true")],
        method="by_archived",
        help_text="true: the archived ones, which are left out otherwise.",
    )

    def by_archived(self, queryset: Rows, _name: str, value: str) -> Rows:
        return queryset.filter(archived_at__isnull=value == "false")


class TemplateViewSet(ApiViewSet):
    """`/v1/templates`, `/v1/templates/{id}`, the same nested under a project, and `:render`."""

    scopes = {
        "list": READ,
        "create": WRITE,
        "retrieve": READ,
        "partial_update": WRITE,
        "destroy": WRITE,
        "render": READ,
    }
    filterset_class = TemplateFilters
    query_params = {"destroy": ("force",)}
    errors = {"create": (409,), "partial_update": (409,), "destroy": (409,), "render": (422,)}

    @extend_schema(**docs.LIST)
    def list(self, request: Request, project_id: uuid.UUID | None = None) -> HttpResponse:
        """List step templates, newest first.

        Each with the content of its newest version. Archived ones are left out unless `archived=true`.
        """
        rows = StepTemplate.objects.visible_to(self.caller, READ)
        if project_id is not None:
            rows = rows.filter(project=get_visible(Project.objects.all(), self.caller, project_id, READ))
        if "archived" not in request.GET:
            rows = rows.filter(archived_at__isnull=True)
        chosen = self.filtered(rows)
        require_visible(Project.objects.all(), self.caller, request.GET.getlist("project_id"))
        page = self.page(chosen)
        current = current_versions([row.pk for row in page.rows])
        return self.ok(Page(rows=[present.template(row, current[row.pk]) for row in page.rows], meta=page.meta))

    @extend_schema(**docs.CREATE)
    @idempotent
    def create(self, request: Request, project_id: uuid.UUID | None = None) -> HttpResponse:
        """Create a step template, at version 1.

        Texts of its `config` may read `{{ parameters.<name> }}`; which parameters there are is said by the JSON Schema
        `parameters`. Everything that is wrong with it is named by JSON pointer, at once.
        """
        given = body(NewTemplateBody, request)
        project = project_to_write(self.caller, project_id, given.pop("project_id", None), scope=WRITE)
        made = saving.create_template(project=project, caller=self.caller, given=given)
        return self._answer(made, status=201, headers={"Location": f"/v1/templates/{made.template_id}"})

    @extend_schema(**docs.RETRIEVE)
    def retrieve(self, request: Request, template_id: uuid.UUID) -> HttpResponse:
        """Read a step template, with the content of its newest version."""
        row = get_template(self.caller, template_id)
        return self._answer(get_version(row.pk, row.version))

    @extend_schema(**docs.PATCH)
    def partial_update(self, request: Request, template_id: uuid.UUID) -> HttpResponse:
        """Change a step template.

        What the body leaves out stays. A change of `step_type`, `config`, `parameters`, `retry` or `timeout` makes a
        new version; workflows keep the one that they have until they are saved with another.
        """
        get_template(self.caller, template_id, WRITE)
        given = body(TemplateBody, request, partial=True)
        made = saving.update_template(
            template_id=template_id, caller=self.caller, given=given, precondition=self._if_match
        )
        return self._answer(made)

    @extend_schema(**docs.DESTROY)
    def destroy(self, request: Request, template_id: uuid.UUID) -> HttpResponse:
        """Archive a step template: no new node takes it, its versions stay.

        409 while workflows use it, unless `force=true`: then they go on with the version that they have.
        """
        get_template(self.caller, template_id, WRITE)
        asked = request.GET.get("force", "false")
        if asked not in ("true", "false"):
            raise InvalidQuery(detail="force is one of false, true.")
        saving.archive_template(template_id=template_id, force=asked == "true", precondition=self._if_match)
        return self.no_content()

    @extend_schema(**docs.RENDER)
    def render(self, request: Request, template_id: uuid.UUID) -> HttpResponse:
        """Show the node that a step template gives for parameters.

        Defaults are applied; what is wrong with the parameters, or with what comes of them, is named by JSON pointer.
        Nothing is stored, and nothing runs: expressions stay as they are.
        """
        row = get_template(self.caller, template_id)
        given = body(RenderTemplateBody, request)
        version = get_version(row.pk, given.get("version") or row.version)
        step = render_template(
            version=version, project=Project.objects.get(pk=row.project_id), parameters=given.get("parameters") or {}
        )
        return self.ok(present.rendered(version, step.filled.config, step.values))

    def _if_match(self, row: StepTemplate) -> None:
        """Raises PreconditionFailed (412) if the client means another state; services call it under the lock."""
        if "HTTP_IF_MATCH" in self.request.META:
            self.check_if_match(present.template(row, get_version(row.pk, row.version)))

    def _answer(
        self, version: StepTemplateVersion, *, status: int = 200, headers: dict[str, str] | None = None
    ) -> HttpResponse:
        shown = present.template(version.template, version)
        return self.ok(shown, tag=http.etag(shown), status=status, headers=headers)


class TemplateVersionViewSet(ApiViewSet):
    """`/v1/templates/{id}/versions` and `/versions/{n}`."""

    scopes = {"list": READ, "retrieve": READ}

    @extend_schema(**docs.VERSIONS)
    def list(self, request: Request, template_id: uuid.UUID) -> HttpResponse:
        """List a step template's versions, newest first."""
        row = get_template(self.caller, template_id)
        page = self.page(StepTemplateVersion.objects.filter(template_id=row.pk), key=("version",))
        return self.ok(Page(rows=[present.version(one, row.version) for one in page.rows], meta=page.meta))

    @extend_schema(**docs.VERSION)
    def retrieve(self, request: Request, template_id: uuid.UUID, number: int) -> HttpResponse:
        """Read a version of a step template."""
        row = get_template(self.caller, template_id)
        shown = present.version(get_version(row.pk, number), row.version)
        return self.ok(shown, etag_of=shown)
