"""How much may wait: a bound on runs that are due and that nobody has begun, so that overload is told to callers."""

from datetime import timedelta
from typing import Final

from django.conf import settings

from flowforge.core import clock
from flowforge.core.errors import Unavailable
from flowforge.core.recent import Recent
from runs.models import Run

SECONDS: Final = 1.0  # each process asks so often, while it starts runs
RETRY_SECONDS: Final = 5
_PUT_OFF: Final = timedelta(seconds=10)  # a run that was hinted is due again in seconds: it waits all the same

_is_full: Recent[bool] = Recent(ttl_seconds=SECONDS)


def require_room() -> None:
    """Raises Unavailable (503, with Retry-After) while MAX_BACKLOG runs are due and have not begun.

    For starts from outside. What waits for a place, a moment or a thaw does not count, and what has been accepted
    goes on: its children and schedules start as ever. The bound is passed by as much as comes within a second.
    """
    if settings.MAX_BACKLOG and _is_full.get("backlog", _has_too_many):
        raise Unavailable(
            detail="More runs wait than are begun: try again later.", headers={"Retry-After": str(RETRY_SECONDS)}
        )


def forget() -> None:
    """Count again at the next start."""
    _is_full.clear()


def _has_too_many() -> bool:
    """Reads no further than the bound, by the index that the sweep has."""
    due = Run.objects.filter(status="pending", wake_at__isnull=False, wake_at__lte=clock.now() + _PUT_OFF)
    return bool(due.order_by("wake_at").values_list("id")[settings.MAX_BACKLOG - 1 : settings.MAX_BACKLOG])
