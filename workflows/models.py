"""Workflows and their immutable versions."""

from django.db import models
from django.db.models import Q

from flowforge.core.models import EditableRow, Row
from flowforge.projects.models import Project, User
from flowforge.projects.scoping import ScopedQuerySet
from templates_app.models import StepTemplate
from workflows.constants import DECISIONS


class VersionQuerySet(ScopedQuerySet["WorkflowVersion"]):
    """A version belongs to its workflow's project."""

    project_path = "workflow__project_id"


class UseQuerySet(ScopedQuerySet["TemplateUse"]):
    """A use belongs to the project of its workflow, which is its template's."""

    project_path = "version__workflow__project_id"


class Workflow(EditableRow):
    """A named graph of steps. What it does stands in its versions; runs keep the version that they began with."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        PAUSED = "paused"
        ARCHIVED = "archived"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="workflows")
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True, default="")
    status = models.CharField(max_length=16, choices=Status, default=Status.ACTIVE)
    version = models.PositiveIntegerField(default=1)  # the current one
    tags = models.JSONField(default=list, blank=True)

    objects = ScopedQuerySet["Workflow"].as_manager()

    class Meta(EditableRow.Meta):
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["active", "paused", "archived"]), name="workflow_status_known"
            ),
        ]
        indexes = [
            models.Index(fields=["project", "-created_at", "-id"], name="workflow_listing"),
            models.Index(fields=["project", "name"], name="workflow_by_name"),  # import matches by name
        ]

    def __str__(self) -> str:
        return self.name


class WorkflowVersion(Row):
    """A definition as it was saved once: never changed, never deleted while its workflow lives."""

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="versions")
    version = models.PositiveIntegerField()
    definition = models.JSONField()  # {nodes, edges, config, input_schema, output}: kernel.definition.normalise
    definition_hash = models.CharField(max_length=64)  # SHA-256 of its canonical JSON
    # what runs go by, where templates make another document of it; null: the definition itself
    expanded = models.JSONField(null=True)
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    objects = VersionQuerySet.as_manager()

    class Meta(Row.Meta):
        constraints = [models.UniqueConstraint(fields=["workflow", "version"], name="workflow_version_once")]

    def __str__(self) -> str:
        return f"{self.workflow} v{self.version}"


class TemplateUse(Row):
    """The nodes of a version that a version of a template makes. Never changed, as the version itself."""

    version = models.ForeignKey(WorkflowVersion, on_delete=models.CASCADE, related_name="template_uses", db_index=False)
    template = models.ForeignKey(StepTemplate, on_delete=models.CASCADE, related_name="+", db_index=False)
    template_version = models.PositiveIntegerField()
    node_ids = models.JSONField()  # in the order of the nodes

    objects = UseQuerySet.as_manager()

    class Meta(Row.Meta):
        constraints = [
            models.UniqueConstraint(fields=["version", "template", "template_version"], name="template_use_once")
        ]
        indexes = [models.Index(fields=["template", "-created_at", "-id"], name="template_use_listing")]

    def __str__(self) -> str:
        return f"{self.template} v{self.template_version} in {self.version}"


class TriggerDecision(Row):
    """What a trigger did with one tick, call or event, and why. Written by `workflows.services.decisions` alone.

    General: a schedule's ticks, a webhook's calls, an event's matches. No foreign key leads to trigger or run, so that
    the ledger outlives both.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    trigger_type = models.CharField(max_length=32)  # `schedule, webhook, event` …
    trigger_id = models.CharField(max_length=64)
    decision = models.CharField(max_length=16)  # one of constants.DECISIONS
    reason = models.CharField(max_length=64)  # stable, snake_case
    detail = models.CharField(max_length=500, default="")  # for people
    due_at = models.DateTimeField(null=True)  # of a schedule: the nominal moment; null: nothing was expected
    until_at = models.DateTimeField(null=True)  # the row speaks of all due times from `due_at` to before this one
    run_id = models.UUIDField(null=True)  # the run that it started, joined or met

    objects = ScopedQuerySet["TriggerDecision"].as_manager()

    class Meta(Row.Meta):
        constraints = [
            models.CheckConstraint(condition=Q(decision__in=DECISIONS), name="decision_known"),
            # one due time, one decision, whoever decides: flowforge.schedules.services.firing
            models.UniqueConstraint(
                fields=["trigger_type", "trigger_id", "due_at"],
                name="decision_once",
                condition=Q(due_at__isnull=False),
            ),
        ]
        indexes = [
            models.Index(fields=["trigger_type", "trigger_id", "-created_at", "-id"], name="decision_listing"),
            models.Index(fields=["created_at"], name="decision_age"),  # the cleaning's query
            # due times that wait for a run to end: decisions.waiting
            models.Index(
                fields=["trigger_type", "trigger_id", "due_at"],
                name="decision_waiting",
                condition=Q(decision="deferred", run_id__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.decision}: {self.reason}"
