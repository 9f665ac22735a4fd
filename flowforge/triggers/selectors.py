"""Reading event triggers."""

import uuid
from datetime import datetime

from flowforge.api.caller import Caller
from flowforge.projects.scoping import get_visible
from flowforge.triggers.models import EventTrigger

READ = "webhooks:read"


def get_trigger(caller: Caller, trigger_id: uuid.UUID | str, scope: str = READ) -> EventTrigger:
    """Raises NotFound (404) where the caller cannot see it, PermissionMissing (403)."""
    return get_visible(EventTrigger.objects.all(), caller, trigger_id, scope)


def listening_to(project_id: uuid.UUID, event: str, at: datetime) -> list[EventTrigger]:
    """Those of a project, with their workflows, that ask for an event of this moment; the oldest first.

    One query by index: a pattern is how a name begins, and a name begins in few ways.
    """
    asked = [event, *(f"{event[:length]}*" for length in range(len(event) + 1))]
    rows = EventTrigger.objects.filter(project_id=project_id, event__in=asked, enabled=True, created_at__lte=at)
    return list(rows.select_related("workflow__project").order_by("created_at", "id"))
