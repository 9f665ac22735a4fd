"""What is held now."""

import uuid
from collections.abc import Collection, Mapping

from flowforge.core.errors import Unavailable
from flowforge.core.recent import Recent
from flowforge.operating.constants import FROZEN, MAINTENANCE_ID, PAUSED_RETRY_SECONDS, THAWED
from flowforge.operating.models import Hold

# every request that steers and every drive asks: the answer is at most a second old
_paused: Recent[bool] = Recent(ttl_seconds=1.0)


def holds_of(scope_ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, Hold]:
    """Those of these projects and workflows that are frozen or thawing, with the hold: one query."""
    if not scope_ids:
        return {}
    return Hold.objects.filter(scope_id__in=scope_ids).exclude(status=THAWED).in_bulk()


def hold_of(scope_id: uuid.UUID) -> Hold | None:
    """The freeze of one of them."""
    return holds_of([scope_id]).get(scope_id)


def engine_paused() -> bool:
    """Whether the engine is paused for maintenance: true within a second of the command, everywhere."""
    return _paused.get("engine", lambda: Hold.objects.filter(scope_id=MAINTENANCE_ID, status=FROZEN).exists())


def require_engine() -> None:
    """Raises Unavailable (503, with Retry-After) while the engine is paused."""
    if engine_paused():
        raise Unavailable(
            detail="The engine is paused for maintenance: reading works, starting and steering runs does not.",
            headers={"Retry-After": str(PAUSED_RETRY_SECONDS)},
        )


def forget() -> None:
    """Ask the database again at the next question: this process has changed the answer."""
    _paused.clear()
