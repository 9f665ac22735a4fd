"""The red button, and maintenance. What these write is seen by whoever decides what begins, at its next decision."""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from flowforge.core import clock
from flowforge.core.errors import Conflict, Fault, InvalidBody
from flowforge.kernel import durations
from flowforge.operating import selectors
from flowforge.operating.constants import FROZEN, MAINTENANCE_ID, THAWED, THAWING, Scope
from flowforge.operating.models import Hold

Brake = Callable[[Scope, uuid.UUID], None]
"""`settings.RUNS_BRAKE`: makes who drives or works on runs of that scope look again before anything begins."""


def freeze(*, scope: Scope, scope_id: uuid.UUID, reason: str, by: str, until: datetime | None = None) -> Hold:
    """Let no run and no step begin there; again, it changes reason and end. Raises InvalidBody for a past `until`.

    Two commits: once the row is there every decision that is yet to be made sees it; the brake stops those that were
    made and are on their way. When this returns, nothing begins any more.
    """
    now = clock.now()
    if until is not None and until <= now:
        raise InvalidBody(faults=[Fault(pointer="/until", code="in_the_past", detail="This moment is past.")])
    with transaction.atomic():
        known = Hold.objects.select_for_update().filter(scope_id=scope_id, status=FROZEN).first()
        hold, _ = Hold.objects.update_or_create(
            scope_id=scope_id,
            defaults={
                "scope": scope,
                "status": FROZEN,
                "reason": reason,
                "by": by,
                "since": known.since if known else now,
                "until": until,
                "rate": "",
                "paced_to": None,
            },
        )
        transaction.on_commit(partial(_brake(), scope, scope_id))
    return hold


def thaw(*, scope_id: uuid.UUID, rate: str | None = None) -> Hold:
    """Let what was held back begin, at a rate such as `10/m`; of what thaws already, change the rate.

    The engine's sweep lets go of it: highest priority first, then the oldest. Raises Conflict if it is not frozen.
    """
    limit, seconds = durations.parse_rate(rate or settings.THAW_RATE)
    changed = Hold.objects.filter(scope_id=scope_id, status__in=(FROZEN, THAWING)).update(
        status=THAWING,
        until=None,
        rate=rate or settings.THAW_RATE,
        paced_to=clock.now() - timedelta(seconds=seconds / limit),  # the first begins at once
    )
    if not changed:
        raise Conflict(detail="It is not frozen.")
    return Hold.objects.get(scope_id=scope_id)


def pause_engine(*, reason: str, by: str) -> Hold:
    """Maintenance: workers begin nothing, starting and steering runs is refused. Again, it changes the reason."""
    hold, _ = Hold.objects.update_or_create(
        scope_id=MAINTENANCE_ID,
        defaults={"scope": "maintenance", "status": FROZEN, "reason": reason, "by": by, "since": clock.now()},
    )
    selectors.forget()
    return hold


def resume_engine() -> None:
    """Maintenance is over: the sweep finds what has become due. Raises Conflict if the engine is not paused."""
    deleted, _ = Hold.objects.filter(scope_id=MAINTENANCE_ID).delete()
    selectors.forget()
    if not deleted:
        raise Conflict(detail="The engine is not paused.")


def active_holds() -> list[Hold]:
    """All that holds anything, oldest first."""
    return list(Hold.objects.exclude(status=THAWED).order_by("since"))


def _brake() -> Brake:
    found: Brake = import_string(settings.RUNS_BRAKE)
    return found
