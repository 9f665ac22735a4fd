"""Event triggers: list, create, read, change, remove, and what they did with each event."""

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
from flowforge.projects.models import Project
from flowforge.projects.scoping import require_visible
from flowforge.projects.selectors import resolve_project
from flowforge.triggers import present, selectors
from flowforge.triggers.api import docs
from flowforge.triggers.api.serializers import EventTriggerBody, NewEventTriggerBody
from flowforge.triggers.constants import LEDGER
from flowforge.triggers.models import EventTrigger
from flowforge.triggers.services import saving
from workflows.decisions import decisions_of, show
from workflows.models import Workflow

READ = "webhooks:read"
WRITE = "webhooks:write"


class EventTriggerFilters(FilterSet):
    """`project_id, workflow_id, event, enabled`."""

    project_id = UUIDFilter(field_name="project_id")
    workflow_id = UUIDFilter(field_name="workflow_id")
    event = CharFilter(field_name="event", help_text="As it is written in the trigger.")
    enabled = ChoiceFilter(choices=[("true", "true"), ("false", "false")], method="by_enabled")

    def by_enabled(self, queryset: QuerySet[EventTrigger], _name: str, value: str) -> QuerySet[EventTrigger]:
        return queryset.filter(enabled=value == "true")


class EventTriggerViewSet(ApiViewSet):
    """`/v1/event-triggers`, `/v1/event-triggers/{id}` and its `/decisions`."""

    scopes = {
        "list": READ,
        "create": WRITE,
        "retrieve": READ,
        "partial_update": WRITE,
        "destroy": WRITE,
        "decisions": READ,
    }
    filterset_class = EventTriggerFilters
    errors = {"create": (409,), "partial_update": (409,)}

    @extend_schema(**docs.LIST)
    def list(self, request: Request) -> HttpResponse:
        """List event triggers, newest first."""
        rows: QuerySet[EventTrigger] = self.filtered(EventTrigger.objects.visible_to(self.caller, READ))
        require_visible(Project.objects.all(), self.caller, request.GET.getlist("project_id"))
        require_visible(Workflow.objects.all(), self.caller, request.GET.getlist("workflow_id"))
        page = self.page(rows)
        return self.ok(Page(rows=[present.trigger(row) for row in page.rows], meta=page.meta))

    @extend_schema(**docs.CREATE)
    @idempotent
    def create(self, request: Request) -> HttpResponse:
        """Create an event trigger.

        Each event that is published in the project from now on, under its name and for which `match` holds, starts one
        run of the workflow.
        """
        given = body(NewEventTriggerBody, request)
        project = resolve_project(self.caller, given.pop("project_id", None), scope=WRITE)
        made = saving.create_trigger(project=project, caller=self.caller, given=given)
        return self._answer(made, status=201, headers={"Location": f"/v1/event-triggers/{made.pk}"})

    @extend_schema(**docs.RETRIEVE)
    def retrieve(self, request: Request, trigger_id: uuid.UUID) -> HttpResponse:
        """Read an event trigger."""
        return self._answer(selectors.get_trigger(self.caller, trigger_id))

    @extend_schema(**docs.PATCH)
    def partial_update(self, request: Request, trigger_id: uuid.UUID) -> HttpResponse:
        """Change an event trigger. What is left out stays; null takes a rule away."""
        selectors.get_trigger(self.caller, trigger_id, WRITE)
        given = body(EventTriggerBody, request, partial=True)
        return self._answer(saving.update_trigger(trigger_id=trigger_id, given=given, precondition=self._if_match))

    @extend_schema(**docs.DESTROY)
    def destroy(self, request: Request, trigger_id: uuid.UUID) -> HttpResponse:
        """Remove an event trigger. Runs that it has started stay."""
        selectors.get_trigger(self.caller, trigger_id, WRITE)
        saving.delete_trigger(trigger_id=trigger_id, precondition=self._if_match)
        return self.no_content()

    @extend_schema(**docs.DECISIONS)
    def decisions(self, request: Request, trigger_id: uuid.UUID) -> HttpResponse:
        """List what a trigger did with the events that it heard, newest first."""
        row = selectors.get_trigger(self.caller, trigger_id)
        page = self.page(decisions_of(LEDGER, str(row.pk)))
        return self.ok(Page(rows=[show(found) for found in page.rows], meta=page.meta))

    def _if_match(self, row: EventTrigger) -> None:
        """Raises PreconditionFailed (412) if the client means another state; services call it under the lock."""
        asked = self.request.META.get("HTTP_IF_MATCH")
        if asked is not None and not names_edited(asked, present.edited(row)):
            raise PreconditionFailed(detail="If-Match names another state of this trigger: read it again.")

    def _answer(self, row: EventTrigger, *, status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
        return self.ok(present.trigger(row), tag=present.tag_of(row), status=status, headers=headers)
