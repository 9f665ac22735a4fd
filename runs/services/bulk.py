"""One action for many runs, bounded, in transactions of some hundreds."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from django.db import transaction
from django.db.models import Q, QuerySet

from flowforge.core.errors import Conflict, NotFound
from flowforge.kernel.states import ENDED_RUN_STATUSES
from runs.models import Run
from runs.services.intents import ask_to_cancel
from runs.services.retrying import retry_run
from runs.transitions import RETRYABLE

MAX_RUNS: Final = 10_000  # that one call looks at
BATCH: Final = 500  # runs a transaction

Action = Literal["cancel", "retry"]

_LIVE_REASON: Final = "in_progress"  # of `retry`: it has not ended; of `cancel`: it was asked to end already

# What an action is for. By `finished_at`, which has no parameter: the index `run_live` proves itself by it
_APPLIES: Final[Mapping[Action, Q]] = {
    "cancel": Q(finished_at__isnull=True, cancel_requested_at__isnull=True),
    "retry": Q(finished_at__isnull=False, status__in=RETRYABLE),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class BulkResult:
    """What one call came to: `matched` = `done` + all that was skipped."""

    matched: int
    done: int  # asked to end, or retried; of a dry run: would be
    skipped: Mapping[str, int]  # reason -> runs: `is_completed, in_progress, conflict` …
    has_more: bool  # beyond MAX_RUNS there are more: call again


def steer_runs(
    *, action: Action, runs: QuerySet[Run], caller_actor: str, dry_run: bool = False, batch: int = BATCH
) -> BulkResult:
    """Cancel or retry all of these runs, oldest first, as far as they are in a state for it.

    Those that can be acted on come first: what has ended long ago uses up none of the bound. A process that dies in
    the middle leaves whole batches done; calling again does the rest.
    """
    apt = list(runs.filter(_APPLIES[action]).order_by("id").values_list("id", flat=True)[: MAX_RUNS + 1])
    ids, has_more = apt[:MAX_RUNS], len(apt) > MAX_RUNS
    skipped = _unfit(runs.exclude(_APPLIES[action]), MAX_RUNS - len(ids))
    done = len(ids) if dry_run else 0
    if not dry_run:
        act = _ACTIONS[action]
        for chosen in _batches(ids, batch):
            with transaction.atomic():
                reasons = act(chosen, caller_actor)
            skipped.update(reasons)
            done += len(chosen) - reasons.total()
    return BulkResult(matched=done + skipped.total(), done=done, skipped=dict(skipped), has_more=has_more)


def _unfit(runs: QuerySet[Run], limit: int) -> Counter[str]:
    """Why nothing can be done for these, of at most `limit` of them."""
    rows = runs.order_by().values_list("status", flat=True)[:limit]
    return Counter(f"is_{status}" if status in ENDED_RUN_STATUSES else _LIVE_REASON for status in rows)


def _batches(ids: Sequence[uuid.UUID], size: int) -> Iterator[Sequence[uuid.UUID]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def _cancel(ids: Sequence[uuid.UUID], _actor: str) -> Counter[str]:
    return +Counter({Conflict.code: len(ids) - ask_to_cancel(ids)})


def _retry(ids: Sequence[uuid.UUID], actor: str) -> Counter[str]:
    """Each in a savepoint of its own: one that changed since it was read hinders no other."""
    reasons: Counter[str] = Counter()
    for run_id in ids:
        try:
            retry_run(run_id=run_id, caller_actor=actor)
        except (Conflict, NotFound) as error:
            reasons[error.code] += 1
    return reasons


_ACTIONS: Final[Mapping[Action, Callable[[Sequence[uuid.UUID], str], Counter[str]]]] = {
    "cancel": _cancel,
    "retry": _retry,
}
