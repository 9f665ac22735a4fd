"""Putting deliveries on their way."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from flowforge.core import bell, clock
from flowforge.events.sinks import Happening
from webhooks import bodies, subscribed
from webhooks.models import Delivery, Subscription


def add_deliveries(*, project_id: uuid.UUID, happenings: Sequence[Happening]) -> int:
    """A delivery for each of these and each subscription that asks for it, within the caller's transaction."""
    rows: list[Delivery] = []
    subscriptions = subscribed.of_project(project_id)
    for happening in happenings:
        workflow_id = None if happening.source is None else happening.source.workflow_id
        data: Mapping[str, Any] | None = None
        for each in subscriptions:
            name = each.name_for(happening.event, happening.data, workflow_id)
            if name is not None:
                data = bodies.data_of(project_id, happening) if data is None else data
                rows.append(_delivery(each.id, name, happening.at, data))
    if rows:
        Delivery.objects.bulk_create(rows)
        bell.deliver()
    return len(rows)


def add_delivery(*, subscription: Subscription, event: str, data: Mapping[str, Any]) -> Delivery:
    """One delivery to one subscription, whatever that has asked for."""
    row = _delivery(subscription.pk, event, clock.now(), data)
    row.save(force_insert=True)
    bell.deliver()
    return row


def _delivery(subscription_id: uuid.UUID, name: str, at: datetime, data: Mapping[str, Any]) -> Delivery:
    return Delivery(
        subscription_id=subscription_id,
        event=name,
        body=bodies.text_of(name, at, data),
        created_at=at,
        next_attempt_at=at,
    )
