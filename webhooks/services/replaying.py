"""Taking stored calls again: one, or many by a filter."""

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from flowforge.core.errors import FlowForgeError, NotFound
from webhooks import constants
from webhooks.models import Call, Webhook
from webhooks.services.receiving import Receipt, replay_call


@dataclass(frozen=True, kw_only=True, slots=True)
class Replayed:
    """What replaying many came to: `matched` = `done` + all that failed."""

    matched: int
    done: int
    failed: Mapping[str, int]  # code -> calls
    has_more: bool  # beyond MAX_REPLAYED there are more: call again


def replay_one(*, webhook: Webhook, call_id: uuid.UUID, version: int | None, actor: str) -> Receipt:
    """Raises NotFound, Conflict where nothing is kept of it, and what receiving it would."""
    call = Call.objects.select_related("webhook__workflow__project").filter(webhook=webhook, pk=call_id).first()
    if call is None:
        raise NotFound
    return replay_call(call=call, version=version, actor=actor)


def replay_many(
    *,
    webhook: Webhook,
    decisions: Sequence[str],
    received_after: datetime | None = None,
    received_before: datetime | None = None,
    version: int | None = None,
    actor: str,
) -> Replayed:
    """Take again, oldest first, the calls that were decided so and of which a body is kept; each by itself."""
    calls = Call.objects.filter(webhook=webhook, decision__in=decisions, body__isnull=False, replay_of__isnull=True)
    if received_after is not None:
        calls = calls.filter(created_at__gt=received_after)
    if received_before is not None:
        calls = calls.filter(created_at__lt=received_before)
    ids = list(calls.order_by("created_at", "id").values_list("pk", flat=True)[: constants.MAX_REPLAYED + 1])
    failed: Counter[str] = Counter()
    for call_id in ids[: constants.MAX_REPLAYED]:
        try:
            replay_one(webhook=webhook, call_id=call_id, version=version, actor=actor)
        except FlowForgeError as error:
            failed[error.code] += 1
    matched = len(ids[: constants.MAX_REPLAYED])
    return Replayed(
        matched=matched,
        done=matched - failed.total(),
        failed=dict(failed),
        has_more=len(ids) > constants.MAX_REPLAYED,
    )
