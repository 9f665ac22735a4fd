"""Alerts: list, create, read, change, remove."""

import uuid

from django.db.models import QuerySet
from django.http import HttpResponse
from django_filters import ChoiceFilter, FilterSet, UUIDFilter
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flowforge.alerts import present, selectors
from flowforge.alerts.api import docs
from flowforge.alerts.api.serializers import AlertBody, NewAlertBody
from flowforge.alerts.constants import METRICS, SEVERITIES, STATES
from flowforge.alerts.models import Alert
from flowforge.alerts.services import saving
from flowforge.api.http import names_edited
from flowforge.api.idempotency import idempotent
from flowforge.api.pagination import Page
from flowforge.api.serializers import body
from flowforge.api.views import ApiViewSet
from flowforge.core.errors import PreconditionFailed
from flowforge.projects.models import Project
from flowforge.projects.scoping import require_visible
from flowforge.projects.selectors import resolve_project
from workflows.models import Workflow

READ = "alerts:read"
WRITE = "alerts:write"


class AlertFilters(FilterSet):
    """`project_id, workflow_id, metric, severity, state, enabled`."""

    project_id = UUIDFilter(field_name="project_id")
    workflow_id = UUIDFilter(field_name="workflow_id")
    metric = ChoiceFilter(choices=[(metric, metric) for metric in METRICS])
    severity = ChoiceFilter(choices=[(severity, severity) for severity in SEVERITIES])
    state = ChoiceFilter(choices=[(state, state) for state in STATES])
    enabled = ChoiceFilter(choices=[("true", "true"), ("false", "false")], method="by_enabled")

    def by_enabled(self, queryset: QuerySet[Alert], _name: str, value: str) -> QuerySet[Alert]:
        return queryset.filter(enabled=value == "true")


class AlertViewSet(ApiViewSet):
    """`/v1/alerts`, `/v1/alerts/{id}`."""

    scopes = {"list": READ, "create": WRITE, "retrieve": READ, "partial_update": WRITE, "destroy": WRITE}
    filterset_class = AlertFilters
    errors = {"create": (409,), "partial_update": (409,)}

    @extend_schema(**docs.LIST)
    def list(self, request: Request) -> HttpResponse:
        """List alerts, newest first."""
        rows: QuerySet[Alert] = self.filtered(Alert.objects.visible_to(self.caller, READ))
        require_visible(Project.objects.all(), self.caller, request.GET.getlist("project_id"))
        require_visible(Workflow.objects.all(), self.caller, request.GET.getlist("workflow_id"))
        page = self.page(rows)
        return self.ok(Page(rows=[present.alert(row) for row in page.rows], meta=page.meta))

    @extend_schema(**docs.CREATE)
    @idempotent
    def create(self, request: Request) -> HttpResponse:
        """Create an alert.

        It is looked at from now on, several times a minute; each change of its state publishes `alert.triggered` once.
        """
        given = body(NewAlertBody, request)
        project = resolve_project(self.caller, given.pop("project_id", None), scope=WRITE)
        made = saving.create_alert(project=project, caller=self.caller, given=given)
        return self._answer(made, status=201, headers={"Location": f"/v1/alerts/{made.pk}"})

    @extend_schema(**docs.RETRIEVE)
    def retrieve(self, request: Request, alert_id: uuid.UUID) -> HttpResponse:
        """Read an alert."""
        return self._answer(selectors.get_alert(self.caller, alert_id))

    @extend_schema(**docs.PATCH)
    def partial_update(self, request: Request, alert_id: uuid.UUID) -> HttpResponse:
        """Change an alert.

        What the body leaves out stays. It is judged anew at once; one that is switched off is `ok` and tells nobody.
        """
        selectors.get_alert(self.caller, alert_id, WRITE)
        given = body(AlertBody, request, partial=True)
        return self._answer(saving.update_alert(alert_id=alert_id, given=given, precondition=self._if_match))

    @extend_schema(**docs.DESTROY)
    def destroy(self, request: Request, alert_id: uuid.UUID) -> HttpResponse:
        """Remove an alert."""
        selectors.get_alert(self.caller, alert_id, WRITE)
        saving.delete_alert(alert_id=alert_id, precondition=self._if_match)
        return self.no_content()

    def _if_match(self, row: Alert) -> None:
        """Raises PreconditionFailed (412) if the client means another state; services call it under the lock."""
        asked = self.request.META.get("HTTP_IF_MATCH")
        if asked is not None and not names_edited(asked, present.edited(row)):
            raise PreconditionFailed(detail="If-Match names another state of this alert: read it again.")

    def _answer(self, row: Alert, *, status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
        return self.ok(present.alert(row), tag=present.tag_of(row), status=status, headers=headers)
