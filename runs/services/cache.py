"""Outputs that steps with `cache: {key, ttl}` have given: within the ttl the same key takes them instead of running."""

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flowforge.core.json import Json, canonical
from runs.models import CachedOutput


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheKey:
    """Whose output: one workflow's, whatever its version, as long as the step is written the same."""

    workflow_id: uuid.UUID
    digest: str

    @classmethod
    def of(cls, workflow_id: uuid.UUID, step_type: str, config: Mapping[str, Any], key: Json) -> "CacheKey":
        """`config` as it is written, `key` as it was rendered."""
        digest = hashlib.sha256(canonical([step_type, config, key])).hexdigest()
        return cls(workflow_id=workflow_id, digest=digest)


def cached_output(key: CacheKey, now: datetime) -> tuple[Json, str | None] | None:
    """(output, branch) that a step with this key gave and that is still good."""
    found = CachedOutput.objects.filter(workflow_id=key.workflow_id, digest=key.digest, expires_at__gt=now)
    return found.values_list("output", "branch").first()


def keep_output(key: CacheKey, *, output: Json, branch: str | None, expires_at: datetime) -> None:
    """Store what a step gave; the newest is kept."""
    row = CachedOutput(
        workflow_id=key.workflow_id, digest=key.digest, output=output, branch=branch, expires_at=expires_at
    )
    CachedOutput.objects.bulk_create(
        [row],
        update_conflicts=True,
        unique_fields=["workflow", "digest"],
        update_fields=["output", "branch", "expires_at"],
    )


def purge(*, now: datetime, limit: int) -> int:
    """Delete at most `limit` outputs that are good no longer; says how many."""
    expired = CachedOutput.objects.filter(expires_at__lte=now).order_by("expires_at")
    deleted, _ = CachedOutput.objects.filter(pk__in=list(expired.values_list("pk", flat=True)[:limit])).delete()
    return deleted
