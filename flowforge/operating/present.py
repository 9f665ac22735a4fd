"""A freeze as clients see it, with what it holds."""

from typing import Any

from flowforge.operating.constants import THAWED
from flowforge.operating.models import Hold


def freeze(hold: Hold | None) -> dict[str, Any] | None:
    """`{status, reason, by, since, until, rate}`; null where nothing is held."""
    if hold is None or hold.status == THAWED:
        return None
    return {
        "status": hold.status,
        "reason": hold.reason,
        "by": hold.by,
        "since": hold.since,
        "until": hold.until,
        "rate": hold.rate or None,
    }
