"""What every table shares: a UUIDv7 key and the two moments of its life."""

import uuid

from django.db import models

from flowforge.core import clock
from flowforge.core.ids import new_id


class Row(models.Model):
    """A row with a UUIDv7 key and `created_at`."""

    id: "models.UUIDField[uuid.UUID, uuid.UUID]" = models.UUIDField(primary_key=True, default=new_id, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        abstract = True
        ordering = ["-created_at", "-id"]


class EditableRow(Row):
    """A row that people edit: `updated_at` is set by the service that edits it."""

    updated_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta(Row.Meta):
        abstract = True
