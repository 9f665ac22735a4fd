"""How people, projects and keys look in an answer (api.md, sections 2 and 3)."""

from typing import Any

from flowforge.operating import present as operating
from flowforge.operating.models import Hold
from flowforge.projects.constants import SCOPES
from flowforge.projects.models import ApiKey, Project
from flowforge.projects.selectors import Standing
from flowforge.projects.tokens import Pair


def project(row: Project, hold: Hold | None = None) -> dict[str, Any]:
    """A project, and what freezes it; its memberships and their users should be prefetched."""
    return {
        "id": row.pk,
        "name": row.name,
        "status": row.status,
        "team": [{"user": seat.user.username, "role": seat.role} for seat in row.memberships.all()],
        "settings": row.settings,
        "freeze": operating.freeze(hold),
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def api_key(row: ApiKey, *, text: str | None = None) -> dict[str, Any]:
    """A key; `text`, the key itself, is known when it is made and never again."""
    shown = {
        "id": row.pk,
        "project_id": row.project_id,
        "name": row.name,
        "prefix": row.prefix,
        "scopes": row.scopes,
        "expires_at": row.expires_at,
        "last_used_at": row.last_used_at,
        "created_at": row.created_at,
        "revoked_at": row.revoked_at,
    }
    return shown if text is None else {**shown, "key": text}


def pair(tokens: Pair) -> dict[str, str]:
    return {"access": tokens.access, "refresh": tokens.refresh}


def standing(found: Standing) -> dict[str, Any]:
    """Who calls, and what it may do where."""
    caller = found.caller
    return {
        "kind": caller.kind,
        "id": caller.id,
        "name": caller.name,
        "username": caller.name if caller.kind == "user" else None,
        "is_staff": caller.is_staff,
        "projects": [
            {
                "id": place.pk,
                "name": place.name,
                "status": place.status,
                "role": found.roles.get(place.pk),
                "scopes": [scope for scope in SCOPES if caller.can(scope, place.pk)],
            }
            for place in found.projects
        ],
    }
