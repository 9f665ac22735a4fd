"""What starts runs when something is published in a project."""

from django.db import models

from flowforge.core.models import EditableRow
from flowforge.projects.models import Project
from flowforge.projects.scoping import ScopedQuerySet
from flowforge.triggers import constants
from workflows.models import Workflow


class EventTrigger(EditableRow):
    """Each event that it asks for starts one run of its workflow: runs.services.event_starts."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="event_triggers", db_index=False)
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="event_triggers")
    name = models.CharField(max_length=constants.MAX_NAME_LENGTH)
    event = models.CharField(max_length=constants.MAX_EVENT_LENGTH)  # a name, or how several begin: `order.*`
    match = models.TextField(null=True)  # noqa: DJ001  null in the contract
    input_mapping = models.JSONField(null=True)
    dedupe = models.TextField(null=True)  # noqa: DJ001  null in the contract
    enabled = models.BooleanField(default=True)
    created_by = models.CharField(max_length=80, default="")
    last_fired_at = models.DateTimeField(null=True)  # when it last started a run

    objects = ScopedQuerySet["EventTrigger"].as_manager()

    class Meta(EditableRow.Meta):
        indexes = [
            models.Index(fields=["project", "-created_at", "-id"], name="event_trigger_listing"),
            models.Index(fields=["project", "event"], name="event_trigger_by_event"),  # selectors.listening_to
        ]

    def __str__(self) -> str:
        return self.name
