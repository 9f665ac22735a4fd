"""Deliveries as a queue in the database: claimed by a lease, recorded once.

A claim moves `next_attempt_at` on to the lease's end and raises the token: a process that dies leaves nothing behind
that somebody has to clear away, and what a slow one writes later changes nothing.
"""

import logging
import uuid
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Value
from django.db.models.functions import Coalesce

from flowforge.core.crypto import Unsealable
from flowforge.events.outbound import SUBSCRIPTION_DISABLED
from runs.services import publish_event
from webhooks import constants, secrets, subscribed
from webhooks.attempts import GONE, TIMEOUT_SECONDS, Claimed, Outcome, next_wait
from webhooks.models import Delivery, Subscription

LEASE: Final = timedelta(seconds=TIMEOUT_SECONDS + 15)
GIVE_UP_AFTER: Final = timedelta(days=5)
ATTEMPTS_KEPT: Final = 20  # of each delivery
IS_GONE: Final = "410: the receiver says that it is gone"
KEEPS_FAILING: Final = "every attempt of 5 days has failed"

log = logging.getLogger("flowforge.webhooks")


def due_subscriptions(now: datetime, *, busy: Collection[uuid.UUID] = (), limit: int = 200) -> list[Subscription]:
    """Enabled subscriptions that have deliveries to be attempted now, without those that are `busy`.

    Not the deliveries themselves: however many one of them has, the others are found as quickly. Those that fail last.
    """
    due = Delivery.objects.filter(status=constants.PENDING, next_attempt_at__lte=now)
    if not due.exists():
        return []
    found = Subscription.objects.filter(Exists(due.filter(subscription_id=OuterRef("pk"))), enabled=True)
    return list(found.exclude(pk__in=busy).order_by("failure_count", "updated_at", "pk")[:limit])


@transaction.atomic
def claim_deliveries(subscription: Subscription, now: datetime, limit: int) -> list[Claimed]:
    """Take the deliveries of a subscription that have been due longest; none if its secret cannot be opened."""
    try:
        signing = secrets.of(subscription, now)
    except Unsealable as error:
        log.error("subscription %s: its secret: %s", subscription.pk, error.detail)
        return []
    until = now + LEASE
    due = Delivery.objects.filter(
        subscription_id=subscription.pk, status=constants.PENDING, next_attempt_at__lte=now
    ).order_by("next_attempt_at", "pk")
    rows = list(due.select_for_update(skip_locked=True)[:limit])
    Delivery.objects.filter(pk__in=[row.pk for row in rows]).update(
        lease_token=F("lease_token") + 1, next_attempt_at=until
    )
    return [
        Claimed(
            id=row.pk,
            subscription_id=subscription.pk,
            url=subscription.url,
            secrets=signing,
            body=row.body,
            attempt=row.attempt,
            lease_token=row.lease_token + 1,
            lease_until=until,
            history=row.attempts,
        )
        for row in rows
    ]


def record_outcomes(outcomes: Sequence[Outcome]) -> None:
    """Write down how attempts went, each fenced by its claim, and what that says of their subscriptions."""
    with transaction.atomic():
        taken = [outcome for outcome in sorted(outcomes, key=lambda each: each.claimed.id) if _record(outcome)]
        disabled = [
            found for key in sorted({each.claimed.subscription_id for each in taken}) if (found := _judge(key, taken))
        ]
    for subscription in disabled:
        _tell(subscription)


def _record(outcome: Outcome) -> bool:
    """False if the delivery is not ours any more."""
    claimed = outcome.claimed
    ours = Delivery.objects.filter(pk=claimed.id, status=constants.PENDING, lease_token=claimed.lease_token)
    if outcome.released:
        ours.update(next_attempt_at=outcome.at)
        return False
    changes: dict[str, Any] = {"status": constants.DELIVERED, "next_attempt_at": None, "delivered_at": outcome.at}
    if not outcome.delivered:
        changes = _after_failure(claimed.attempt + 1, outcome)
    history = [*claimed.history, outcome.as_row()][-ATTEMPTS_KEPT:]
    return ours.update(attempt=claimed.attempt + 1, attempts=history, **changes) == 1


def _after_failure(attempt: int, outcome: Outcome) -> dict[str, Any]:
    wait = next_wait(attempt, outcome)
    if wait is None:
        return {"status": constants.DEAD, "next_attempt_at": None}
    return {"next_attempt_at": outcome.at + timedelta(milliseconds=outcome.duration_ms) + wait}


def _judge(subscription_id: uuid.UUID, outcomes: Iterable[Outcome]) -> Subscription | None:
    """Count a subscription's failures; the subscription, if that disables it. One that is well costs no write."""
    ours = [each for each in outcomes if each.claimed.subscription_id == subscription_id]
    rows = Subscription.objects.filter(pk=subscription_id)
    if any(each.delivered for each in ours):
        rows.exclude(failure_count=0).update(failure_count=0, failing_since=None)
        return None
    failed_at = min(each.at for each in ours)
    rows.update(failure_count=F("failure_count") + len(ours), failing_since=Coalesce("failing_since", Value(failed_at)))
    dead, reason = rows.filter(enabled=True), IS_GONE
    if not any(each.status == GONE for each in ours):
        dead, reason = dead.filter(failing_since__lte=max(each.at for each in ours) - GIVE_UP_AFTER), KEEPS_FAILING
    return rows.first() if dead.update(enabled=False, disabled_reason=reason) else None


def _tell(subscription: Subscription) -> None:
    """The event that a subscription was disabled, for whoever else listens."""
    subscribed.forget()
    publish_event(
        project_id=subscription.project_id,
        name=SUBSCRIPTION_DISABLED,
        payload={
            "subscription_id": str(subscription.pk),
            "url": subscription.url,
            "reason": subscription.disabled_reason or "",
        },
        source=f"subscription:{subscription.pk}",
    )
