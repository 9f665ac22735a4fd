"""Secrets of a project that its steps may use."""

from django.db import models
from django.db.models import Q

from flowforge.core.models import EditableRow
from flowforge.credentials.constants import MAX_NAME_LENGTH, TYPES
from flowforge.projects.models import Project
from flowforge.projects.scoping import ScopedQuerySet


class Credential(EditableRow):
    """A secret, sealed: `services.sealing` seals and opens it. Nobody can read it again, steps aside."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="credentials", db_index=False)
    name = models.CharField(max_length=MAX_NAME_LENGTH)
    type = models.CharField(max_length=16)
    data_ciphertext = models.BinaryField()  # its JSON object
    hosts = models.JSONField(default=list)  # patterns that it may be sent to: flowforge.steps.hosts
    expires_at = models.DateTimeField(null=True)
    expiry_told_at = models.DateTimeField(null=True)  # when `credential.expired` was published for this `expires_at`
    last_used_at = models.DateTimeField(null=True)  # to the minute
    created_by = models.CharField(max_length=80, default="")  # `key:<id>`, `user:<id>`
    updated_by = models.CharField(max_length=80, default="")

    objects = ScopedQuerySet["Credential"].as_manager()

    class Meta(EditableRow.Meta):
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="credential_name_once"),
            models.CheckConstraint(condition=Q(type__in=TYPES), name="credential_type_known"),
        ]
        indexes = [
            models.Index(fields=["project", "-created_at", "-id"], name="credential_listing"),
            # whose expiry is to be told: services.expiry
            models.Index(
                fields=["expires_at"],
                name="credential_expiry",
                condition=Q(expires_at__isnull=False, expiry_told_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return self.name
