"""The first start of an embedded FlowForge: a person, a project and a key to begin with."""

import secrets
from dataclasses import dataclass
from typing import Final

from django.db import transaction

from flowforge.projects import callers, key_format
from flowforge.projects.constants import SCOPES
from flowforge.projects.models import ApiKey, Membership, Project, User
from flowforge.projects.services import keys

ADMIN: Final = "admin"
DEMO: Final = "Demo"
DEMO_KEY: Final = "demo"
DEMO_STEP_TYPES: Final = (
    "generic", "ci", "etl", "ml_training", "http", "llm", "approval", "python", "transform", "condition", "switch",
    "map", "workflow", "delay", "wait_event", "emit",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Bootstrap:
    """What stands after a start. A secret is here only when this start made it: it can't be read again."""

    project: Project
    admin_user: User
    admin_password_if_new: str | None
    api_key_if_new: str | None


@transaction.atomic
def ensure_bootstrap(*, admin_password: str | None, api_key: str | None) -> Bootstrap:
    """Make what is missing of the user `admin`, the project "Demo" and its key with every scope; change nothing else.

    `admin_password` is used for a user that is new, a random one without it. A given `api_key` is accepted by the API
    from now on, beside those that are known already; without one a fresh key is made when the project has none. Raises
    ValueError on an `api_key` that can't be one: not 16 to 256 characters long, a mistyped `ffk_…`, or one that was
    revoked or rotated away.
    """
    admin, password = _ensure_admin(admin_password)
    project = _ensure_project(admin)
    return Bootstrap(
        project=project,
        admin_user=admin,
        admin_password_if_new=password,
        api_key_if_new=_ensure_key(project, admin, api_key.strip() if api_key else None),
    )


def _ensure_admin(password: str | None) -> tuple[User, str | None]:
    """The user `admin` and, if it is new, its password. A chosen one is the operator's affair: no rule refuses it."""
    user = User.objects.filter(username=ADMIN).first()
    if user is not None:
        return user, None
    chosen = password or secrets.token_urlsafe(15)
    return User.objects.create_superuser(ADMIN, password=chosen), chosen


def _ensure_project(admin: User) -> Project:
    """The oldest project that `admin` owns, or a new one: people may rename "Demo"."""
    owned = Membership.objects.filter(user=admin, role="owner", project__status=Project.Status.ACTIVE)
    membership = owned.select_related("project").order_by("created_at", "id").first()
    if membership is not None:
        return membership.project
    project = Project.objects.create(name=DEMO, settings={"allowed_step_types": list(DEMO_STEP_TYPES)})
    Membership.objects.create(project=project, user=admin, role="owner")
    callers.forget()
    return project


def _ensure_key(project: Project, admin: User, given: str | None) -> str | None:
    """The text of a key that this start made."""
    if given is None:
        if ApiKey.objects.filter(project=project).exists():
            return None
        return keys.insert_key(project=project, name=DEMO_KEY, scopes=SCOPES, created_by_id=admin.pk)[1]
    if not key_format.is_plausible(given):
        raise ValueError(
            "the given API key must have 16 to 256 characters and, if it begins with ffk_, no typing error"
        )
    known = ApiKey.objects.filter(key_hash=key_format.hash_of(given)).first()
    if known is not None:
        if known.revoked_at is not None or known.expires_at is not None:
            raise ValueError("the given API key was revoked or rotated: choose another")
        return None
    return keys.insert_key(project=project, name=DEMO_KEY, scopes=SCOPES, created_by_id=admin.pk, text=given)[1]
