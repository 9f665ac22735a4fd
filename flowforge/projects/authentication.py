"""Who calls, from the headers of a request. What isn't exactly one good credential is refused, never guessed."""

from typing import Final

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from flowforge.api.caller import Caller
from flowforge.core.errors import InvalidCredentials, InvalidQuery
from flowforge.projects import callers
from flowforge.projects.constants import KEY_PREFIX

REALM: Final = 'Bearer realm="flowforge"'
_IN_A_URL: Final = ("api_key", "apikey", "x-api-key", "access_token")


class CallerAuthentication(BaseAuthentication):
    """`X-API-KEY: ffk_…`, `Authorization: Bearer ffk_…` or `Bearer <JWT>`; `request.auth` is then a Caller."""

    def authenticate(self, request: Request) -> tuple[None, Caller] | None:
        """None without any credential. Raises InvalidCredentials (401), InvalidQuery (400) for one in the URL."""
        _refuse_in_url(request)
        credential = credential_of(request.META.get("HTTP_X_API_KEY"), request.META.get("HTTP_AUTHORIZATION"))
        return None if credential is None else (None, caller_of(credential))

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002  DRF's signature
        return REALM


def caller_of(credential: str) -> Caller:
    """Whose key or access token this is. Raises InvalidCredentials (401)."""
    if _looks_like_a_jwt(credential):
        return callers.from_access_token(credential)
    return callers.from_key(credential)


def credential_of(api_key: str | None, authorization: str | None) -> str | None:
    """The one credential that the two headers hold, None if there is neither.

    Raises InvalidCredentials (401) on an empty one, another scheme than Bearer, or two that differ. A header sent
    twice arrives as one joined by a comma, which is no credential of ours.
    """
    found = {text.strip() for text in (api_key, _bearer(authorization)) if text is not None}
    if not found:
        return None
    if len(found) > 1:
        raise _refused("Send one credential, not two.")
    credential = found.pop()
    if not credential:
        raise _refused("The credential is empty.")
    return _as_sent(credential)


def _bearer(authorization: str | None) -> str | None:
    if authorization is None:
        return None
    scheme, _, rest = authorization.strip().partition(" ")
    if scheme.lower() != "bearer":  # RFC 9110, 11.1: schemes are case-insensitive
        raise _refused("The scheme of Authorization is Bearer.")
    return rest


def _as_sent(text: str) -> str:
    """Headers arrive decoded as Latin-1 (PEP 3333); a key that an operator chose may hold UTF-8."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text


def _looks_like_a_jwt(credential: str) -> bool:
    return not credential.startswith(KEY_PREFIX) and credential.startswith("eyJ") and credential.count(".") == 2


def _refuse_in_url(request: Request) -> None:
    """A credential in a URL ends up in logs and histories: say so, rather than let it pass by."""
    for name in request.query_params:
        if name.lower() in _IN_A_URL:
            raise InvalidQuery(detail="Credentials are sent in a header, never in the URL.")


def _refused(detail: str) -> InvalidCredentials:
    return InvalidCredentials(detail=detail, headers={"WWW-Authenticate": f'{REALM}, error="invalid_request"'})
