"""Reading groups of failures that are alike: what a caller may see of them, and how they are shown."""

import uuid
from collections.abc import Mapping
from typing import Any, Final, cast

from django.db.models import QuerySet

from flowforge.api.caller import Caller
from flowforge.core.clock import isoformat
from flowforge.core.errors import NotFound
from runs.models import FailureGroup, Run
from runs.present import Shown

PAGE_KEY: Final = ("last_seen_at", "id")
_COLUMNS: Final = (
    *("id", "project_id", "workflow_id", "workflow__name", "node_id", "code", "message"),
    *("status", "count", "first_seen_at", "last_seen_at", "resolved_at", "sample_run_id"),
)

Row = dict[str, Any]
Rows = QuerySet[FailureGroup, Row]


def visible_failures(caller: Caller) -> Rows:
    """The groups that a caller may read, as rows to be filtered and paged by PAGE_KEY."""
    return cast(Rows, FailureGroup.objects.visible_to(caller, "runs:read").values(*_COLUMNS))


def get_failure(caller: Caller, failure_id: uuid.UUID, scope: str = "runs:read") -> Row:
    """Raises NotFound (404) where the caller cannot see it, PermissionMissing (403) where the scope is missing."""
    row: Row | None = FailureGroup.objects.visible_to(caller).filter(id=failure_id).values(*_COLUMNS).first()
    if row is None:
        raise NotFound
    caller.require(scope, row["project_id"])
    return row


def runs_of(failure_id: uuid.UUID) -> QuerySet[Run]:
    """The runs whose last attempt failed so and that nobody has retried since."""
    return Run.objects.filter(failure_id=failure_id, status="failed")


def show(row: Mapping[str, Any]) -> Shown:
    """A group as clients see it."""
    return {
        "id": str(row["id"]),
        "project_id": str(row["project_id"]),
        "workflow_id": str(row["workflow_id"]),
        "workflow_name": row["workflow__name"],
        "node_id": row["node_id"] or None,
        "code": row["code"],
        "message": row["message"],
        "status": row["status"],
        "count": row["count"],
        "first_seen": isoformat(row["first_seen_at"]),
        "last_seen": isoformat(row["last_seen_at"]),
        "resolved_at": isoformat(row["resolved_at"]),
        "sample_run_id": str(row["sample_run_id"]),
    }
