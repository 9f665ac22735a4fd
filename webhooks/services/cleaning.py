"""Deleting what has been kept long enough: named in settings.HOUSEKEEPING."""

from datetime import datetime

from django.db.models import Q

from webhooks import constants
from webhooks.models import Call


def purge_calls(*, now: datetime, limit: int) -> int:
    """Delete at most `limit` calls that are old, rejected ones sooner; says how many."""
    rejected = Q(decision=constants.REJECTED, created_at__lte=now - constants.REJECTIONS_KEPT_FOR)
    old = Q(created_at__lte=now - constants.CALLS_KEPT_FOR)
    deleted = 0
    for expired in (rejected, old):
        ids = Call.objects.filter(expired).order_by("created_at").values_list("pk", flat=True)[: limit - deleted]
        deleted += Call.objects.filter(pk__in=list(ids)).delete()[0]
    return deleted
