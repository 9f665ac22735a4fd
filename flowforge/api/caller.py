"""Who is calling: a value, so that services and throttles need no request and no model."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from flowforge.core.errors import PermissionMissing


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """An authenticated caller and what it may do in each project that it can see."""

    kind: Literal["key", "user", "system"]
    id: str  # id of the API key or of the user
    name: str
    grants: Mapping[uuid.UUID, frozenset[str]]  # project -> scopes; a project that isn't here does not exist for it
    user_id: uuid.UUID | None = None
    is_staff: bool = False
    rate_limits: Mapping[uuid.UUID, Mapping[str, str]] = field(default_factory=dict)  # what projects override

    @property
    def actor(self) -> str:
        """`key:<id>` or `user:<id>`: what rows keep of who did it."""
        return f"{self.kind}:{self.id}"

    @property
    def project_ids(self) -> frozenset[uuid.UUID]:
        return frozenset(self.grants)

    @property
    def sole_project_id(self) -> uuid.UUID | None:
        """The project that is meant when none is named: a key's own, or a person's only one."""
        return next(iter(self.grants)) if len(self.grants) == 1 else None

    def can(self, scope: str, project_id: uuid.UUID) -> bool:
        scopes = self.grants.get(project_id, frozenset())
        return scope in scopes or "admin" in scopes

    def can_anywhere(self, scope: str) -> bool:
        return any(self.can(scope, project_id) for project_id in self.grants)

    def require(self, scope: str, project_id: uuid.UUID) -> None:
        """Raises PermissionMissing (403). The caller must be able to see the project: selectors answer 404 before."""
        if not self.can(scope, project_id):
            raise PermissionMissing(detail=f"This needs the scope {scope} in the project {project_id}.")
