"""What people do with groups of failures. The engine counts them and opens them again."""

import uuid

from flowforge.core import clock
from runs.failures import runs_of
from runs.models import FailureGroup
from runs.services.bulk import BulkResult, steer_runs


def retry_failure(*, failure_id: uuid.UUID, caller_actor: str) -> BulkResult:
    """Retry the runs of a group, up to the bound of one call; the group stays as it is."""
    return steer_runs(action="retry", runs=runs_of(failure_id), caller_actor=caller_actor)


def resolve_failure(*, failure_id: uuid.UUID) -> bool:
    """Mark a group as dealt with, until the next failure opens it; False if it was already."""
    resolved = FailureGroup.objects.filter(id=failure_id, status=FailureGroup.Status.OPEN).update(
        status=FailureGroup.Status.RESOLVED, resolved_at=clock.now()
    )
    return resolved == 1
