"""Making, changing and deleting subscriptions, rotating their secrets, sending again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F

from flowforge.core import bell, clock
from flowforge.core.errors import Conflict, NotFound
from flowforge.events.outbound import SUBSCRIPTION_TEST
from flowforge.projects.models import Project
from flowforge.projects.selectors import require_active
from webhooks import constants, secrets, subscribed
from webhooks.models import Delivery, Subscription
from webhooks.services.outbox import add_delivery

Check = Callable[[Subscription], None]  # raises to stop (If-Match); called under the lock

BY_HAND = "disabled by hand"
_CHUNK = 500  # rows a statement


@dataclass(frozen=True, kw_only=True, slots=True)
class Redelivered:
    """What sending many again came to."""

    matched: int
    has_more: bool  # beyond MAX_REDELIVERED there are more: call again


@transaction.atomic
def create_subscription(*, project: Project, attributes: Mapping[str, Any]) -> tuple[Subscription, str]:
    """A new subscription and its secret. Its address has been checked: `webhooks.targets`."""
    row = Subscription(project=project, **attributes)
    text = secrets.generate()
    row.secret_ciphertext = secrets.seal(row, text)
    row.disabled_reason = None if row.enabled else BY_HAND
    row.save(force_insert=True)
    subscribed.forget()
    return row, text


@transaction.atomic
def update_subscription(
    *, subscription: Subscription, changes: Mapping[str, Any], precondition: Check | None = None
) -> Subscription:
    """Change what `changes` names. Enabling it lets it begin anew, with what was on its way to it."""
    row = _locked(subscription)
    if precondition is not None:
        precondition(row)
    known = dict(changes)
    if "enabled" in known and known["enabled"] != row.enabled:
        known |= {"disabled_reason": None if known["enabled"] else BY_HAND, "failure_count": 0, "failing_since": None}
    for name, value in known.items():
        setattr(row, name, value)
    row.updated_at = clock.now()
    row.save(update_fields=[*known, "updated_at"])
    subscribed.forget()
    bell.deliver()
    return row


@transaction.atomic
def delete_subscription(*, subscription: Subscription, precondition: Check | None = None) -> None:
    """Delete a subscription with its deliveries: what has not been sent never is."""
    row = _locked(subscription)
    if precondition is not None:
        precondition(row)
    row.delete()
    subscribed.forget()


@transaction.atomic
def rotate_subscription_secret(
    *, subscription: Subscription, overlap: timedelta = constants.DEFAULT_OVERLAP
) -> tuple[Subscription, str]:
    """A new secret; for `overlap` both sign. Raises Conflict."""
    row = _locked(subscription)
    require_active(row.project)
    text, now = secrets.generate(), clock.now()
    row.old_secret_ciphertext, row.old_secret_expires_at = row.secret_ciphertext, now + overlap
    row.secret_ciphertext, row.updated_at = secrets.seal(row, text), now
    row.save(update_fields=["secret_ciphertext", "old_secret_ciphertext", "old_secret_expires_at", "updated_at"])
    return row, text


@transaction.atomic
def send_test(*, subscription: Subscription, actor: str) -> Delivery:
    """A delivery that tells of nothing. Raises Conflict for a subscription that is disabled."""
    if not subscription.enabled:
        raise Conflict(detail="The subscription is disabled: nothing is sent to it.")
    data = {"subscription_id": subscription.pk, "project_id": subscription.project_id, "by": actor}
    return add_delivery(subscription=subscription, event=SUBSCRIPTION_TEST, data=data)


@transaction.atomic
def redeliver(*, delivery: Delivery) -> Delivery:
    """Send it again, now, by the schedule from its beginning; under the same id, so that a receiver can tell."""
    _send_again([delivery.pk])
    delivery.refresh_from_db()
    return delivery


def redeliver_many(
    *, subscription: Subscription, since: datetime, statuses: Sequence[str] = (constants.DEAD,)
) -> Redelivered:
    """Send again, oldest first, what came up since a moment and has ended so."""
    rows = Delivery.objects.filter(subscription=subscription, created_at__gte=since, status__in=statuses)
    ids = list(rows.order_by("created_at", "id").values_list("pk", flat=True)[: constants.MAX_REDELIVERED + 1])
    chosen = ids[: constants.MAX_REDELIVERED]
    for start in range(0, len(chosen), _CHUNK):
        with transaction.atomic():
            _send_again(chosen[start : start + _CHUNK])
    return Redelivered(matched=len(chosen), has_more=len(ids) > len(chosen))


def _send_again(ids: Sequence[Any]) -> None:
    Delivery.objects.filter(pk__in=ids).update(
        status=constants.PENDING,
        attempt=0,
        next_attempt_at=clock.now(),
        delivered_at=None,
        lease_token=F("lease_token") + 1,  # whoever sends it just now writes nothing of it
    )
    bell.deliver()


def _locked(subscription: Subscription) -> Subscription:
    rows = Subscription.objects.select_for_update(of=("self",)).select_related("project")
    found = rows.filter(pk=subscription.pk).first()
    if found is None:
        raise NotFound
    return found
