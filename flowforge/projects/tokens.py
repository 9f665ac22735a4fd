"""JSON Web Tokens (RFC 7519) for people. The only module that knows djangorestframework-simplejwt.

HS256 and nothing else, whatever a token's header asks for (RFC 8725, 3.1); issuer, audience, kind, id and expiry are
required. What is signed right is not yet good: `callers` and `services.people` ask the database whether the login that
it came from still stands.
"""

import functools
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.conf import settings
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenBackendError, TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import Token

from flowforge.core import crypto
from flowforge.core.errors import InvalidCredentials

MAX_LENGTH: Final = 2048  # ours have some 400 characters


@dataclass(frozen=True, kw_only=True, slots=True)
class Claims:
    """What a verified token says."""

    user_id: uuid.UUID
    family_id: uuid.UUID  # the login that it came from
    token_version: int  # the person's, when it was issued
    jti: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """What a login or a refresh gives; `refresh_jti` and `refresh_expires_at` are for the family's row."""

    access: str
    refresh: str
    refresh_jti: str
    refresh_expires_at: datetime


class _KeyRing(TokenBackend):
    """Signs with the newest key and verifies with every one, so that keys rotate without logging people out."""

    def __init__(self, signing_keys: tuple[str, ...]) -> None:
        self._backends = [_backend(key) for key in signing_keys]  # newest first
        self.leeway = api_settings.LEEWAY

    def encode(self, payload: dict[str, Any]) -> str:
        return self._backends[0].encode(payload)

    def decode(self, token: Any, verify: bool = True) -> dict[str, Any]:
        for backend in self._backends[:-1]:
            try:
                return backend.decode(token, verify)
            except TokenBackendError:
                continue
        return self._backends[-1].decode(token, verify)


class _OurToken(Token):
    def get_token_backend(self) -> TokenBackend:
        return _ring(settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)


class _Access(_OurToken):
    token_type = "access"  # noqa: S105  the kind of a token
    lifetime = api_settings.ACCESS_TOKEN_LIFETIME


class _Refresh(_OurToken):
    token_type = "refresh"  # noqa: S105  the kind of a token
    lifetime = api_settings.REFRESH_TOKEN_LIFETIME


def issue(*, user_id: uuid.UUID, family_id: uuid.UUID, token_version: int) -> Pair:
    """A fresh pair of tokens of a login."""
    access, refresh = _Access(), _Refresh()
    for token in (access, refresh):
        token["sub"], token["fam"], token["ver"] = str(user_id), str(family_id), token_version
    return Pair(
        access=str(access),
        refresh=str(refresh),
        refresh_jti=refresh["jti"],
        refresh_expires_at=datetime.fromtimestamp(refresh["exp"], UTC),
    )


def read_access(text: str) -> Claims:
    """Verify an access token. Raises InvalidCredentials (401)."""
    return _read(_Access, text)


def read_refresh(text: str) -> Claims:
    """Verify a refresh token. Raises InvalidCredentials (401)."""
    return _read(_Refresh, text)


def invalid() -> InvalidCredentials:
    """The one answer to every token that is not good: it does not say why (RFC 6750, 3.1)."""
    return InvalidCredentials(
        detail="The token is invalid, revoked or has expired.",
        headers={"WWW-Authenticate": 'Bearer realm="flowforge", error="invalid_token"'},
    )


def _read(kind: type[Token], text: str) -> Claims:
    if len(text) > MAX_LENGTH:
        raise invalid()
    try:
        token = kind(text)  # type: ignore[arg-type]  # says Token, means its text
        return Claims(
            user_id=uuid.UUID(token["sub"]),
            family_id=uuid.UUID(token["fam"]),
            token_version=token["ver"],
            jti=token["jti"],
        )
    except (TokenError, KeyError, ValueError, AttributeError):
        raise invalid() from None


@functools.cache
def _ring(*secret_keys: str) -> _KeyRing:
    return _KeyRing(tuple(crypto.derive(secret, "jwt hs256").hex() for secret in secret_keys))


def _backend(signing_key: str) -> TokenBackend:
    return TokenBackend(
        "HS256",
        signing_key,
        audience=api_settings.AUDIENCE,
        issuer=api_settings.ISSUER,
        leeway=api_settings.LEEWAY,
    )
