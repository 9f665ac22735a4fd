"""Reading runs. What callers may see is decided here: a run of a project that isn't theirs does not exist."""

import uuid
from functools import lru_cache

from flowforge.core.errors import NotFound
from workflows.models import WorkflowVersion


@lru_cache(maxsize=10_000)
def version_id_of(workflow_id: uuid.UUID, number: int) -> uuid.UUID:
    """The id of a workflow's version; versions are never changed, so it is read once. Raises NotFound."""
    found = WorkflowVersion.objects.filter(workflow_id=workflow_id, version=number).values_list("id", flat=True)
    for version_id in found:
        return version_id
    raise NotFound(detail=f"The workflow has no version {number}.")
