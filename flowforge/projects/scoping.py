"""No one sees another project's rows: every query that serves a caller begins with `visible_to(caller)`.

Models that belong to a project take `objects = ScopedQuerySet.as_manager()` (or a subclass that says by which path
they do), views start from `Model.objects.visible_to(caller)` or `get_visible(...)`, and never from `.all()`.
"""

import uuid
from collections.abc import Iterable
from typing import ClassVar, Self, TypeVar

from django.db import models

from flowforge.api.caller import Caller
from flowforge.core.errors import NotFound

M = TypeVar("M", bound=models.Model)


class ScopedQuerySet(models.QuerySet[M]):
    """Rows that belong to a project, which `project_path` leads to."""

    project_path: ClassVar[str] = "project_id"  # a field path such as `run__project_id`

    def visible_to(self, caller: Caller, scope: str | None = None) -> Self:
        """The rows of the caller's projects; with `scope`, of those alone in which the caller has it."""
        projects = [id for id in caller.project_ids if scope is None or caller.can(scope, id)]
        return self.filter(**{f"{self.project_path}__in": projects})

    def project_of(self, row: M) -> uuid.UUID:
        """The id of the project that `row` belongs to."""
        found: object = row
        for attribute in self.project_path.split("__"):
            found = getattr(found, attribute)
        assert isinstance(found, uuid.UUID)  # noqa: S101  a wrong path is a fault of ours, not of the caller
        return found


def get_visible(queryset: ScopedQuerySet[M], caller: Caller, pk: uuid.UUID | str, scope: str | None = None) -> M:
    """The one row of that id.

    Raises NotFound (404) when it is unknown, not an id at all or in a project that the caller can't see, and
    PermissionMissing (403) when the caller sees its project but lacks `scope` there.
    """
    row = queryset.visible_to(caller).filter(pk=parse_id(pk)).first()
    if row is None:
        raise NotFound
    if scope is not None:
        caller.require(scope, queryset.project_of(row))
    return row


def require_visible(queryset: ScopedQuerySet[M], caller: Caller, ids: Iterable[str]) -> None:
    """For filters: every row that one names is there for the caller. Raises NotFound, as a path would."""
    wanted = {parse_id(text) for text in ids}
    if wanted and queryset.visible_to(caller).filter(pk__in=wanted).count() != len(wanted):
        raise NotFound


def parse_id(text: uuid.UUID | str) -> uuid.UUID:
    """An id out of a path. Raises NotFound: what isn't an id names nothing."""
    if isinstance(text, uuid.UUID):
        return text
    try:
        return uuid.UUID(text)
    except ValueError:
        raise NotFound from None
