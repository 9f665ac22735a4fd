"""One run a `dedupe_key`: within its window, everyone who gives the same key for a workflow gets the same run."""

import uuid
from collections.abc import Mapping
from datetime import datetime

from runs.constants import DEDUPE_WINDOW
from runs.models import DedupeKey

_MAX_ROUNDS = 10  # each round lost means that someone else took an expired key: more than one is a rarity


def claim_keys(*, workflow_id: uuid.UUID, wanted: Mapping[str, uuid.UUID], now: datetime) -> dict[str, uuid.UUID]:
    """Claim each key for the run that it stands with; answers key -> the run that holds it now.

    Runs inside the caller's transaction, together with the insertion of the runs. The unique constraint decides:
    who inserts second waits for the first to commit, then finds its row. An expired key is taken over by an update
    that is guarded by the holder it was read with, so that two takers get one run. Keys go in sorted order, lest
    two batches with the same keys lock each other out.
    """
    DedupeKey.objects.bulk_create(
        [
            DedupeKey(workflow_id=workflow_id, key=key, run_id=wanted[key], expires_at=now + DEDUPE_WINDOW)
            for key in sorted(wanted)
        ],
        ignore_conflicts=True,
    )
    for _ in range(_MAX_ROUNDS):
        rows = DedupeKey.objects.filter(workflow_id=workflow_id, key__in=sorted(wanted)).order_by("key")
        held = {row.key: row for row in rows}
        expired = [row for row in held.values() if row.expires_at <= now and row.run_id != wanted[row.key]]
        if sum(_take_over(row, wanted[row.key], now) for row in expired) == len(expired):
            return {key: row.run_id for key, row in held.items()}
    raise RuntimeError("dedupe keys keep changing hands")


def hand_over_key(workflow_id: uuid.UUID, key: str, run_id: uuid.UUID, to: uuid.UUID) -> None:
    """Let a key that was just claimed for a run stand for another, with which that one has become one."""
    DedupeKey.objects.filter(workflow_id=workflow_id, key=key, run_id=run_id).update(run_id=to)


def purge(*, now: datetime, limit: int) -> int:
    """Delete at most `limit` keys that have expired; says how many."""
    expired = DedupeKey.objects.filter(expires_at__lte=now).order_by("expires_at")
    deleted, _ = DedupeKey.objects.filter(pk__in=list(expired.values_list("pk", flat=True)[:limit])).delete()
    return deleted


def _take_over(row: DedupeKey, run_id: uuid.UUID, now: datetime) -> bool:
    """Give an expired key to another run; False if someone else was faster."""
    expires_at = now + DEDUPE_WINDOW
    taken = DedupeKey.objects.filter(pk=row.pk, run_id=row.run_id, expires_at=row.expires_at).update(
        run_id=run_id, expires_at=expires_at
    )
    row.run_id, row.expires_at = run_id, expires_at
    return taken == 1
