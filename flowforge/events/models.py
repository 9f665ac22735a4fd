"""What was published in a project: by its systems (`POST /v1/events`) and by its runs (`emit`)."""

from django.db import models
from django.db.models import Q

from flowforge.core.models import Row


class Event(Row):
    """A project event. The project is named by its id alone: projects stand above events."""

    project_id = models.UUIDField()
    name = models.CharField(max_length=100)
    payload = models.JSONField(default=dict)
    source = models.CharField(max_length=120)  # `key:<id>`, `user:<id>`, `step:<id>`: who published it
    dedupe_key = models.CharField(max_length=300, null=True)  # noqa: DJ001  null is "no key": any number of them

    # --- whom it has woken: written by whoever matches it with waiting steps and triggers
    matched_at = models.DateTimeField(null=True)  # when it had been held against all that waited
    matched_count = models.PositiveIntegerField(default=0)  # steps that it has ended
    started_count = models.PositiveIntegerField(default=0, db_default=0)  # runs that event triggers have started of it

    class Meta(Row.Meta):
        constraints = [models.UniqueConstraint(fields=["project_id", "dedupe_key"], name="event_once")]
        indexes = [
            # a step that has begun to wait looks back: services.events_since
            models.Index(fields=["project_id", "name", "created_at"], name="event_by_name"),
            # those whose publisher died on the way: services.unmatched_events
            models.Index(fields=["created_at"], name="event_unmatched", condition=Q(matched_at__isnull=True)),
            models.Index(fields=["created_at"], name="event_expiry"),  # the cleaning's query
        ]

    def __str__(self) -> str:
        return self.name
