"""How much a project may keep: counted from its rows under a lock, never kept in a counter."""

import uuid

from django.conf import settings
from django.db.models import Sum

from flowforge.assets.constants import CONDEMNED
from flowforge.assets.models import AssetVersion, Blob
from flowforge.core.errors import QuotaExceeded
from flowforge.projects.models import Project


def require_room(project_id: uuid.UUID, size: int) -> None:
    """Within a transaction that goes on to write `size` bytes' row: who comes meanwhile waits and counts it, too.

    Raises QuotaExceeded (409).
    """
    project = Project.objects.select_for_update(no_key=True).get(pk=project_id)
    limit = limit_of(project)
    used = used_bytes(project_id)
    if used + size > limit:
        detail = f"The project keeps {used} bytes of at most {limit}; {size} more do not fit."
        raise QuotaExceeded(detail=detail, extra={"used_bytes": used, "limit_bytes": limit, "asked_bytes": size})


def limit_of(project: Project) -> int:
    """`settings.max_asset_bytes` of the project, else the operator's."""
    chosen: int = project.settings.get("max_asset_bytes", settings.MAX_ASSET_BYTES)
    return chosen


def used_bytes(project_id: uuid.UUID) -> int:
    """All versions, and what is being written.

    A blob counts from its first moment to its last, so that none is missed which a version takes between the two looks.
    """
    blobs = Blob.objects.filter(project_id=project_id).exclude(state=CONDEMNED)
    texts = AssetVersion.objects.filter(project_id=project_id, blob=None)
    return sum(rows.order_by().aggregate(sum=Sum("size"))["sum"] or 0 for rows in (blobs, texts))
