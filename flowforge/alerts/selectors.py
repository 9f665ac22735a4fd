"""Reading alerts."""

import uuid
from datetime import datetime

from flowforge.alerts.models import Alert
from flowforge.api.caller import Caller
from flowforge.projects.models import Project
from flowforge.projects.scoping import get_visible

READ = "alerts:read"


def get_alert(caller: Caller, alert_id: uuid.UUID | str, scope: str = READ) -> Alert:
    """Raises NotFound (404) where the caller cannot see it, PermissionMissing (403)."""
    return get_visible(Alert.objects.all(), caller, alert_id, scope)


def due_alerts(now: datetime, limit: int) -> list[Alert]:
    """Those that someone has to look at, the most overdue first."""
    due = Alert.objects.filter(enabled=True, next_check_at__lte=now, project__status=Project.Status.ACTIVE)
    return list(due.order_by("next_check_at")[:limit])
