"""People: making them, letting them in by password and token, and out again."""

import uuid
from datetime import datetime, timedelta
from typing import Final

from django.contrib.auth import authenticate
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F

from flowforge.core import clock
from flowforge.core.errors import Conflict, Fault, InvalidBody, InvalidCredentials
from flowforge.core.ids import new_id
from flowforge.projects import callers, selectors, tokens
from flowforge.projects.models import Membership, Project, TokenFamily, User
from flowforge.projects.tokens import Pair

KEPT_AFTER_EXPIRY: Final = timedelta(days=1)  # a token sent late is then still known as one of a family


def log_in(*, username: str, password: str) -> Pair:
    """A first pair of tokens for a name and a password.

    Raises InvalidCredentials (401): the same, after the same time, for an unknown name, a wrong password and a
    disabled person (Django hashes the password in each case).
    """
    user = authenticate(username=username, password=password)
    if not isinstance(user, User):
        raise InvalidCredentials(detail="The username or the password is wrong.")
    user.refresh_from_db(fields=["token_version"])  # a rehash of the password raises it in memory alone
    family_id = new_id()
    pair = tokens.issue(user_id=user.pk, family_id=family_id, token_version=user.token_version)
    TokenFamily.objects.create(
        id=family_id, user=user, refresh_jti=pair.refresh_jti, expires_at=pair.refresh_expires_at
    )
    User.objects.filter(pk=user.pk).update(last_login=clock.now())
    return pair


def refresh(*, refresh_token: str) -> Pair:
    """A new pair for the newest refresh token of a login, which is consumed.

    Of any number of concurrent calls with one token exactly one succeeds. A token that was consumed before is
    taken as stolen: it ends the whole login (RFC 9700, 4.14.2). Raises InvalidCredentials (401).
    """
    claims = tokens.read_refresh(refresh_token)
    family = selectors.live_family(claims.family_id)
    if family is None or (family.user_id, family.user.token_version) != (claims.user_id, claims.token_version):
        raise tokens.invalid()
    pair = tokens.issue(user_id=claims.user_id, family_id=family.pk, token_version=claims.token_version)
    # one statement finds and takes it: whoever comes second finds another jti
    consumed = TokenFamily.objects.filter(pk=family.pk, refresh_jti=claims.jti, revoked_at=None).update(
        refresh_jti=pair.refresh_jti, expires_at=pair.refresh_expires_at
    )
    if not consumed:
        _end_family(family.pk)
        raise tokens.invalid()
    return pair


def log_out(*, refresh_token: str) -> None:
    """End the login that a refresh token belongs to, and with it the access tokens, within a second everywhere.

    Any token of the family will do, consumed or not; twice is no error. Raises InvalidCredentials (401) for what isn't
    a refresh token of ours.
    """
    _end_family(tokens.read_refresh(refresh_token).family_id)


def create_user(
    *, username: str, password: str, project: Project | None = None, role: str = "viewer", is_superuser: bool = False
) -> User:
    """A person, and a membership if a project is named.

    Raises InvalidBody (422) on a name or password that won't do, Conflict (409) when the name is taken.
    """
    user = User(username=username, is_staff=is_superuser, is_superuser=is_superuser)
    _check(user, password)
    if User.objects.filter(username=username).exists():
        raise Conflict(detail=f"There is a user {username} already.")
    user.set_password(password)
    with transaction.atomic():
        user.save(force_insert=True)
        if project is not None:
            Membership.objects.create(project=project, user=user, role=role)
    return user


def set_password(*, user: User, password: str) -> None:
    """Change a password, which ends every token of that person."""
    user.set_password(password)
    User.objects.filter(pk=user.pk).update(password=user.password, token_version=F("token_version") + 1)
    callers.forget()


def end_all_tokens(*, user: User) -> None:
    """Log a person out everywhere."""
    User.objects.filter(pk=user.pk).update(token_version=F("token_version") + 1)
    callers.forget()


def purge_families(*, now: datetime, limit: int) -> int:
    """Delete at most `limit` logins whose last refresh token has expired; says how many."""
    expired = TokenFamily.objects.filter(expires_at__lt=now - KEPT_AFTER_EXPIRY).order_by("expires_at")
    deleted, _ = TokenFamily.objects.filter(pk__in=list(expired.values_list("pk", flat=True)[:limit])).delete()
    return deleted


def _end_family(family_id: uuid.UUID) -> None:
    TokenFamily.objects.filter(pk=family_id, revoked_at=None).update(revoked_at=clock.now())
    callers.forget()


def _check(user: User, password: str) -> None:
    faults = []
    try:
        User.username_validator(user.username)
    except ValidationError as error:
        faults += [Fault(pointer="/username", code="invalid", detail=text) for text in error.messages]
    try:
        validate_password(password, user)
    except ValidationError as error:
        faults += [Fault(pointer="/password", code="invalid", detail=text) for text in error.messages]
    if faults:
        raise InvalidBody(faults=faults)
