"""Conditions on a project's or a workflow's runs that somebody wants to be told of."""

from django.db import models
from django.db.models import Q

from flowforge.alerts import constants
from flowforge.core import clock
from flowforge.core.models import EditableRow
from flowforge.projects.models import Project
from flowforge.projects.scoping import ScopedQuerySet
from workflows.models import Workflow


class Alert(EditableRow):
    """Looked at every few seconds; each change of its state is told once: services.checking."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="alerts", db_index=False)
    workflow = models.ForeignKey(Workflow, null=True, on_delete=models.CASCADE, related_name="alerts")  # null: all

    # --- what people say
    name = models.CharField(max_length=constants.MAX_NAME_LENGTH)
    metric = models.CharField(max_length=32)
    operator = models.CharField(max_length=4, default="gt")
    threshold = models.FloatField(default=0)  # of durations in seconds
    window = models.CharField(max_length=32, default=constants.DEFAULT_WINDOW)  # as it was written
    severity = models.CharField(max_length=16, default="warning")
    enabled = models.BooleanField(default=True)
    created_by = models.CharField(max_length=80, default="")

    # --- bookkeeping
    state = models.CharField(max_length=8, default=constants.OK)
    value = models.FloatField(null=True)  # what the newest look found; null: nothing to judge
    last_triggered_at = models.DateTimeField(null=True)  # when it began to fire
    next_check_at = models.DateTimeField(default=clock.now)
    error_count = models.PositiveSmallIntegerField(default=0)  # looks in a row that failed
    error = models.CharField(max_length=300, default="")  # of the newest

    objects = ScopedQuerySet["Alert"].as_manager()

    class Meta(EditableRow.Meta):
        constraints = [
            models.CheckConstraint(condition=Q(metric__in=constants.METRICS), name="alert_metric_known"),
            models.CheckConstraint(condition=Q(operator__in=tuple(constants.OPERATORS)), name="alert_operator_known"),
            models.CheckConstraint(condition=Q(severity__in=constants.SEVERITIES), name="alert_severity_known"),
            models.CheckConstraint(condition=Q(state__in=constants.STATES), name="alert_state_known"),
            models.CheckConstraint(condition=Q(enabled=True) | Q(state=constants.OK), name="alert_off_is_silent"),
        ]
        indexes = [
            models.Index(fields=["project", "-created_at", "-id"], name="alert_listing"),
            # what is to be looked at: selectors.due_alerts
            models.Index(fields=["next_check_at"], name="alert_due", condition=Q(enabled=True)),
        ]

    def __str__(self) -> str:
        return self.name
