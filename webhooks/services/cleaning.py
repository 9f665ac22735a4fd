"""Deleting what has been kept long enough: named in settings.HOUSEKEEPING."""

from datetime import datetime

from django.db.models import Q

from webhooks import constants
from webhooks.models import Call, Delivery


def purge_calls(*, now: datetime, limit: int) -> int:
    """Delete at most `limit` calls that are old, rejected ones sooner; says how many."""
    rejected = Q(decision=constants.REJECTED, created_at__lte=now - constants.REJECTIONS_KEPT_FOR)
    old = Q(created_at__lte=now - constants.CALLS_KEPT_FOR)
    deleted = 0
    for expired in (rejected, old):
        ids = Call.objects.filter(expired).order_by("created_at").values_list("pk", flat=True)[: limit - deleted]
        deleted += Call.objects.filter(pk__in=list(ids)).delete()[0]
    return deleted


def purge_deliveries(*, now: datetime, limit: int) -> int:
    """Delete at most `limit` deliveries that are old, whatever became of them; says how many."""
    old = Delivery.objects.filter(created_at__lte=now - constants.DELIVERIES_KEPT_FOR).order_by("created_at")
    return Delivery.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:limit])).delete()[0]
