"""Making, rotating and revoking API keys."""

import uuid
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from flowforge.api.caller import Caller
from flowforge.core import clock
from flowforge.core.errors import Conflict, Fault, InvalidBody, PermissionMissing
from flowforge.projects import callers, key_format, selectors
from flowforge.projects.constants import SCOPES
from flowforge.projects.models import ApiKey, Project

MAX_OVERLAP: Final = timedelta(days=7)
DEFAULT_OVERLAP: Final = timedelta(hours=24)


def create_key(
    *, caller: Caller, project: Project, name: str, scopes: Iterable[str], expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """A new key of the project, and its text, which is kept nowhere.

    One that a key makes without `expires_at` ends when its maker does. Raises PermissionMissing (403) when the caller
    would give away a scope that it does not have itself, or a longer life than its own.
    """
    wanted = frozenset(scopes)
    _require_no_more_than(caller, project.pk, wanted)
    ends_at = _no_later_than_its_maker(caller, expires_at)
    return insert_key(
        project=project, name=name, scopes=wanted, expires_at=ends_at, created_by_id=_person_behind(caller)
    )


def insert_key(
    *,
    project: Project,
    name: str,
    scopes: Iterable[str],
    expires_at: datetime | None = None,
    created_by_id: uuid.UUID | None = None,
    text: str | None = None,
) -> tuple[ApiKey, str]:
    """Write a key without asking who may: for the command line and the first start. `text` is the key, if chosen."""
    key_text = text or key_format.generate()
    key = ApiKey.objects.create(
        project=project,
        name=name,
        prefix=key_format.prefix_of(key_text),
        key_hash=key_format.hash_of(key_text),
        scopes=in_order(scopes),
        expires_at=expires_at,
        created_by_id=created_by_id,
    )
    callers.forget()  # a stranger may have tried the chosen text a moment ago
    return key, key_text


@transaction.atomic
def rotate_key(*, caller: Caller, key: ApiKey, overlap: timedelta = DEFAULT_OVERLAP) -> tuple[ApiKey, str]:
    """A successor with the same name and scopes; the old key ends after `overlap`, or earlier if it was to.

    The successor lives as long as the old key was given. Raises Conflict (409) for a key that has ended already or
    whose project is archived, PermissionMissing (403) when the key can do more than the caller or would outlive it.
    """
    old = ApiKey.objects.select_for_update(of=("self",)).select_related("project").get(pk=key.pk)
    selectors.require_active(old.project)
    now = clock.now()
    if old.revoked_at is not None or (old.expires_at is not None and old.expires_at <= now):
        raise Conflict(detail="The key has ended: make a new one.")
    _require_no_more_than(caller, old.project_id, frozenset(old.scopes))
    successor_ends_at = None if old.expires_at is None else now + (old.expires_at - old.created_at)
    if str(old.pk) != caller.id:
        successor_ends_at = _no_later_than_its_maker(caller, successor_ends_at)
    successor = insert_key(
        project=old.project,
        name=old.name,
        scopes=old.scopes,
        expires_at=successor_ends_at,
        created_by_id=_person_behind(caller),
    )
    ends_at = now + overlap
    ApiKey.objects.filter(pk=old.pk).update(expires_at=min(old.expires_at or ends_at, ends_at))
    return successor


@transaction.atomic
def revoke_key(*, key: ApiKey, precondition: Callable[[ApiKey], None] | None = None) -> None:
    """End a key at once, in every process within a second. Doing so twice changes nothing.

    `precondition` is called under the lock with the key as it stands; it raises to stop (If-Match).
    """
    row = ApiKey.objects.select_for_update().get(pk=key.pk)
    if precondition is not None:
        precondition(row)
    ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=clock.now())
    callers.forget()


def check_scopes(scopes: Iterable[str], pointer: str = "/scopes") -> None:
    """Raises InvalidBody (422) naming each scope that does not exist."""
    faults = [
        Fault(pointer=f"{pointer}/{index}", code="invalid_choice", detail=f"There is no scope {scope!r}.")
        for index, scope in enumerate(scopes)
        if scope not in SCOPES
    ]
    if faults:
        raise InvalidBody(faults=faults)


def in_order(scopes: Iterable[str]) -> list[str]:
    """Each scope once, as the contract lists them."""
    wanted = frozenset(scopes)
    return [scope for scope in SCOPES if scope in wanted]


def _require_no_more_than(caller: Caller, project_id: uuid.UUID, scopes: frozenset[str]) -> None:
    lacking = [scope for scope in in_order(scopes) if not caller.can(scope, project_id)]
    if lacking:
        raise PermissionMissing(detail=f"A key can't do more than who makes it: {', '.join(lacking)} is missing.")


def _no_later_than_its_maker(caller: Caller, expires_at: datetime | None) -> datetime | None:
    """When a key that the caller makes ends. Else a key that is good for an hour could make one that is for ever."""
    if caller.kind != "key":
        return expires_at
    latest = ApiKey.objects.values_list("expires_at", flat=True).get(pk=caller.id)
    if latest is not None and expires_at is not None and expires_at > latest:
        raise PermissionMissing(detail="A key can't outlive the key that makes it.")
    return expires_at or latest


def _person_behind(caller: Caller) -> uuid.UUID | None:
    """Whose disablement ends the new key: a person's own, or that of who made the key that makes this one."""
    if caller.kind != "key":
        return caller.user_id
    return ApiKey.objects.values_list("created_by_id", flat=True).get(pk=caller.id)
