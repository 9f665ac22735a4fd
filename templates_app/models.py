"""Step templates and their immutable versions."""

from django.db import models
from django.db.models import Q

from flowforge.core.models import EditableRow, Row
from flowforge.projects.models import Project, User
from flowforge.projects.scoping import ScopedQuerySet
from templates_app.constants import MAX_NAME_LENGTH, MAX_STEP_TYPE_LENGTH


class TemplateVersionQuerySet(ScopedQuerySet["StepTemplateVersion"]):
    """A version belongs to its template's project."""

    project_path = "template__project_id"


class StepTemplate(EditableRow):
    """A step that several workflows use: what it does stands in its versions, nodes name one of them."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="step_templates", db_index=False)
    name = models.CharField(max_length=MAX_NAME_LENGTH)
    description = models.TextField(blank=True, default="")
    step_type = models.CharField(max_length=MAX_STEP_TYPE_LENGTH)  # of the newest version: lists are filtered by it
    version = models.PositiveIntegerField(default=1)  # the newest
    archived_at = models.DateTimeField(null=True)  # since when no new node may take it

    objects = ScopedQuerySet["StepTemplate"].as_manager()

    class Meta(EditableRow.Meta):
        constraints = [
            # a name is free again once its template is archived; saving a workflow looks templates up by it
            models.UniqueConstraint(
                fields=["project", "name"], name="template_name_once", condition=Q(archived_at__isnull=True)
            ),
        ]
        indexes = [models.Index(fields=["project", "-created_at", "-id"], name="template_listing")]

    def __str__(self) -> str:
        return self.name


class StepTemplateVersion(Row):
    """A template's content as it was saved once: never changed, never deleted while its template lives."""

    template = models.ForeignKey(StepTemplate, on_delete=models.CASCADE, related_name="versions", db_index=False)
    version = models.PositiveIntegerField()
    step_type = models.CharField(max_length=MAX_STEP_TYPE_LENGTH)
    config = models.JSONField()  # of the step, its texts may read `parameters`
    parameters = models.JSONField(null=True)  # JSON Schema of what a node gives; null: nothing
    retry = models.JSONField(null=True)  # what a node that has none of its own takes
    timeout = models.JSONField(null=True)  # likewise, as it was written: text or a number
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    objects = TemplateVersionQuerySet.as_manager()

    class Meta(Row.Meta):
        constraints = [models.UniqueConstraint(fields=["template", "version"], name="template_version_once")]

    def __str__(self) -> str:
        return f"{self.template} v{self.version}"
