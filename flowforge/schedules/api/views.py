"""Schedules: list, create, read, change, remove, pause, resume."""

import uuid

from django.db.models import QuerySet
from django.http import HttpResponse
from django_filters import CharFilter, ChoiceFilter, FilterSet, UUIDFilter
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flowforge.api.http import matched_weakly
from flowforge.api.idempotency import idempotent
from flowforge.api.pagination import Page
from flowforge.api.serializers import body
from flowforge.api.views import ApiViewSet
from flowforge.core.errors import Fault, InvalidBody, PreconditionFailed
from flowforge.projects.models import Project
from flowforge.projects.scoping import get_visible, require_visible
from flowforge.schedules import present, selectors
from flowforge.schedules.api import docs
from flowforge.schedules.api.serializers import EmptyBody, NewScheduleBody, ScheduleBody
from flowforge.schedules.constants import KINDS
from flowforge.schedules.models import Schedule
from flowforge.schedules.services import saving
from workflows.models import Workflow

READ = "schedules:read"
WRITE = "schedules:write"


class ScheduleFilters(FilterSet):
    """`workflow_id, project_id, name (contains), kind, enabled`."""

    workflow_id = UUIDFilter(field_name="workflow_id")
    project_id = UUIDFilter(field_name="project_id")
    name = CharFilter(field_name="name", lookup_expr="icontains", help_text="Contained, in any case.")
    kind = ChoiceFilter(choices=[(kind, kind) for kind in KINDS])
    enabled = ChoiceFilter(choices=[("true", "true"), ("false", "false")], method="by_enabled")

    def by_enabled(self, queryset: QuerySet[Schedule], _name: str, value: str) -> QuerySet[Schedule]:
        return queryset.filter(enabled=value == "true")


class ScheduleViews(ApiViewSet):
    """Finding one schedule, and answering with it."""

    def current(self, schedule_id: uuid.UUID, scope: str = READ) -> Schedule:
        return selectors.get_schedule(self.caller, schedule_id, scope)

    def answer(self, row: Schedule, *, status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
        """The schedule with its tag; 304 where the client has it already."""
        shown = present.schedule(row)
        tag = present.tag_of(shown)
        asked = self.request.META.get("HTTP_IF_NONE_MATCH")
        if asked is not None and self.request.method in ("GET", "HEAD"):
            matched = matched_weakly(asked, tag)
            if matched is not None:
                return HttpResponse(status=304, headers={"ETag": matched})
        return self.ok(shown, status=status, headers={"ETag": tag, **(headers or {})})

    def if_match(self, row: Schedule) -> None:
        """Raises PreconditionFailed (412) if the client means another state; services call it under the lock."""
        asked = self.request.META.get("HTTP_IF_MATCH")
        if asked is not None and not present.names_state(asked, present.schedule(row)):
            raise PreconditionFailed(detail="If-Match names another state of this schedule: read it again.")


class ScheduleViewSet(ScheduleViews):
    """`/v1/schedules`, `/v1/schedules/{id}`, the same nested under a project, `:pause` and `:resume`."""

    scopes = {
        "list": READ,
        "create": WRITE,
        "retrieve": READ,
        "partial_update": WRITE,
        "destroy": WRITE,
        "pause": WRITE,
        "resume": WRITE,
    }
    filterset_class = ScheduleFilters
    errors = {"partial_update": (409,), "pause": (409,), "resume": (409,)}

    @extend_schema(**docs.LIST)
    def list(self, request: Request, project_id: uuid.UUID | None = None) -> HttpResponse:
        """List schedules, newest first."""
        rows: QuerySet[Schedule] = Schedule.objects.visible_to(self.caller, READ)
        if project_id is not None:
            rows = rows.filter(project=get_visible(Project.objects.all(), self.caller, project_id, READ))
        chosen = self.filtered(rows)
        require_visible(Project.objects.all(), self.caller, request.GET.getlist("project_id"))
        require_visible(Workflow.objects.all(), self.caller, request.GET.getlist("workflow_id"))
        page = self.page(chosen)
        return self.ok(Page(rows=[present.schedule(row) for row in page.rows], meta=page.meta))

    @extend_schema(**docs.CREATE)
    @idempotent
    def create(self, request: Request, project_id: uuid.UUID | None = None) -> HttpResponse:
        """Create a schedule.

        It is due from now on. One of `cron`, `every` and `at` says when; everything that is wrong is named at once.
        """
        if project_id is not None:
            get_visible(Project.objects.all(), self.caller, project_id, WRITE)
        given = body(NewScheduleBody, request)
        named = given.pop("project_id", None)
        workflow = self._workflow(given.pop("workflow_id"), project_id, named)
        made = saving.create_schedule(workflow=workflow, given=given, caller=self.caller)
        return self.answer(made, status=201, headers={"Location": f"/v1/schedules/{made.pk}"})

    @extend_schema(**docs.RETRIEVE)
    def retrieve(self, request: Request, schedule_id: uuid.UUID) -> HttpResponse:
        """Read a schedule."""
        return self.answer(self.current(schedule_id))

    @extend_schema(**docs.PATCH)
    def partial_update(self, request: Request, schedule_id: uuid.UUID) -> HttpResponse:
        """Change a schedule.

        What the body leaves out stays. A change of what decides due times begins from now: none of before is repeated
        or made up for.
        """
        self.current(schedule_id, WRITE)
        given = body(ScheduleBody, request, partial=True)
        return self.answer(saving.update_schedule(schedule_id=schedule_id, given=given, precondition=self.if_match))

    @extend_schema(**docs.DESTROY)
    def destroy(self, request: Request, schedule_id: uuid.UUID) -> HttpResponse:
        """Remove a schedule. Its runs stay."""
        self.current(schedule_id, WRITE)
        saving.delete_schedule(schedule_id=schedule_id, precondition=self.if_match)
        return self.no_content()

    @extend_schema(**docs.PAUSE)
    def pause(self, request: Request, schedule_id: uuid.UUID) -> HttpResponse:
        """Pause a schedule.

        It is due no more until it is resumed; its runs go on. Asking again changes nothing.
        """
        body(EmptyBody, request)
        self.current(schedule_id, WRITE)
        return self.answer(saving.pause_schedule(schedule_id=schedule_id))

    @extend_schema(**docs.RESUME)
    def resume(self, request: Request, schedule_id: uuid.UUID) -> HttpResponse:
        """Resume a schedule.

        It is due again from now on; what it was due meanwhile is not made up for (`:backfill` does). Lifts a
        quarantine, too. Asking again changes nothing.
        """
        body(EmptyBody, request)
        self.current(schedule_id, WRITE)
        return self.answer(saving.resume_schedule(schedule_id=schedule_id))

    def _workflow(self, workflow_id: uuid.UUID, in_path: uuid.UUID | None, in_body: uuid.UUID | None) -> Workflow:
        """The workflow that a body names, in the project that is meant. Raises InvalidBody (422)."""
        visible = Workflow.objects.visible_to(self.caller).select_related("project").filter(pk=workflow_id)
        workflow = visible.first()
        faults = []
        if in_body is not None and not Project.objects.visible_to(self.caller).filter(pk=in_body).exists():
            faults.append(Fault(pointer="/project_id", code="not_found", detail="There is no such project."))
        elif workflow is not None and in_body not in (None, workflow.project_id):
            detail = "The workflow is of another project."
            faults.append(Fault(pointer="/project_id", code="contradiction", detail=detail))
        if workflow is None or in_path not in (None, workflow.project_id):
            faults.append(Fault(pointer="/workflow_id", code="not_found", detail="There is no such workflow."))
        if workflow is None or faults:
            self._require_where_named(in_body)
            raise InvalidBody(faults=faults)
        self.caller.require(WRITE, workflow.project_id)
        return workflow

    def _require_where_named(self, project_id: uuid.UUID | None) -> None:
        """Who may not write into the project that it names learns that first (403)."""
        if project_id is not None and project_id in self.caller.project_ids:
            self.caller.require(WRITE, project_id)
