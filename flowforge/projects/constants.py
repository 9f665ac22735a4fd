"""Roles and scopes: who may do what. The table of api.md, section 2."""

from typing import Final

ROLES: Final = ("owner", "admin", "editor", "operator", "viewer")

READ_WRITE: Final = (
    "projects",
    "workflows",
    "runs",
    "templates",
    "assets",
    "schedules",
    "webhooks",
    "credentials",
    "alerts",
)
SCOPES: Final[tuple[str, ...]] = (
    *(f"{resource}:{verb}" for resource in READ_WRITE for verb in ("read", "write")),
    "insights:read",
    "keys:write",
    "admin",
)
_READ: Final = frozenset(scope for scope in SCOPES if scope.endswith(":read"))

ROLE_SCOPES: Final[dict[str, frozenset[str]]] = {
    "viewer": _READ - {"credentials:read"},
    "operator": _READ | {"runs:write"},
    "editor": _READ
    | {
        "runs:write",
        "workflows:write",
        "templates:write",
        "assets:write",
        "schedules:write",
        "webhooks:write",
        "credentials:write",
        "alerts:write",
    },
    "admin": frozenset(SCOPES),
    "owner": frozenset(SCOPES),
}

KEY_PREFIX: Final = "ffk_"
