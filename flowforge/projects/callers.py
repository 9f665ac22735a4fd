"""From a credential to a Caller: the one place that says what a key or a person may do now.

Answers are kept for at most a second in this process, so that hot callers cost no query; a revocation, a changed role
or a disabled person holds everywhere within that second, and at once where it was done (`forget`).
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Q

from flowforge.api.caller import Caller
from flowforge.core import clock
from flowforge.core.errors import InvalidCredentials
from flowforge.core.recent import Recent
from flowforge.projects import key_format, selectors, tokens
from flowforge.projects.models import ApiKey, Project, TokenFamily

REMEMBER_SECONDS: Final = 1.0
USE_NOTED_EVERY: Final = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Key:
    caller: Caller
    expires_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Login:
    caller: Caller
    user_id: uuid.UUID
    token_version: int


_keys: Recent[_Key | None] = Recent(ttl_seconds=REMEMBER_SECONDS)
_logins: Recent[_Login | None] = Recent(ttl_seconds=REMEMBER_SECONDS)
_uses: Recent[None] = Recent(ttl_seconds=USE_NOTED_EVERY.total_seconds())


def from_key(text: str) -> Caller:
    """Who holds this API key. Raises InvalidCredentials (401)."""
    if not key_format.is_plausible(text):
        raise _invalid_key()
    key_hash = key_format.hash_of(text)
    found = _keys.get(key_hash, lambda: _load_key(key_hash))
    now = clock.now()
    if found is None or (found.expires_at is not None and found.expires_at <= now):
        raise _invalid_key()
    _uses.get(found.caller.id, lambda: _note_use(found.caller.id, now))
    return found.caller


def from_access_token(text: str) -> Caller:
    """Whose access token this is. Raises InvalidCredentials (401)."""
    claims = tokens.read_access(text)
    found = _logins.get(claims.family_id, lambda: _load_login(claims.family_id))
    if found is None or (found.user_id, found.token_version) != (claims.user_id, claims.token_version):
        raise tokens.invalid()
    return found.caller


def forget() -> None:
    """Ask the database again from now on, and once more when the current transaction is committed.

    For whoever changes a key, a role, a person or a project.
    """
    forget_now()
    transaction.on_commit(forget_now)


def forget_now() -> None:
    """The same where no transaction is open."""
    _keys.clear()
    _logins.clear()


def key_scopes(key: ApiKey) -> frozenset[str]:
    """What a key may do now: its scopes, and of them no more than the role that its creator still has.

    A key without a creator (made on the command line) is bounded by nothing else.
    """
    scopes = frozenset(key.scopes)
    if key.created_by_id is None:
        return scopes
    creator = selectors.grants_of(key.created_by_id).get(key.project_id, frozenset())
    return bounded(scopes, creator)


def bounded(scopes: frozenset[str], limit: frozenset[str]) -> frozenset[str]:
    """`scopes` as far as `limit` reaches, where `admin` stands for all of them."""
    if "admin" in limit:
        return scopes
    return limit if "admin" in scopes else scopes & limit


def _load_key(key_hash: str) -> _Key | None:
    key = selectors.live_key(key_hash)
    if key is None:
        return None
    caller = Caller(
        kind="key",
        id=str(key.pk),
        name=key.name,
        grants={key.project_id: key_scopes(key)},
        rate_limits=selectors.rate_limits_of([key.project]),
    )
    return _Key(caller=caller, expires_at=key.expires_at)


def _load_login(family_id: uuid.UUID) -> _Login | None:
    family = selectors.live_family(family_id)
    return None if family is None else _login(family)


def _login(family: TokenFamily) -> _Login:
    user = family.user
    grants = selectors.grants_of(user.pk)
    caller = Caller(
        kind="user",
        id=str(user.pk),
        name=user.get_username(),
        grants=grants,
        user_id=user.pk,
        is_staff=user.is_staff,
        rate_limits=selectors.rate_limits_of(Project.objects.filter(pk__in=grants).only("settings")),
    )
    return _Login(caller=caller, user_id=user.pk, token_version=user.token_version)


def _note_use(key_id: str, now: datetime) -> None:
    """Set `last_used_at`, at most once a minute over all processes: the row says whether it is time."""
    due = Q(last_used_at=None) | Q(last_used_at__lte=now - USE_NOTED_EVERY)
    ApiKey.objects.filter(due, pk=key_id).update(last_used_at=now)


def _invalid_key() -> InvalidCredentials:
    return InvalidCredentials(
        detail="The API key is invalid, revoked or has expired.",
        headers={"WWW-Authenticate": 'Bearer realm="flowforge", error="invalid_token"'},
    )
