"""Access tokens for client credentials (RFC 6749, section 4.4): fetched when first needed, kept until they expire."""

import base64
import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

from flowforge.core import json
from flowforge.core.egress import Answer, EgressCancelled, EgressError, Outgoing, egress
from flowforge.steps.base import Context, Credential, CredentialRefused, StepCancelled

FETCH_SECONDS: Final = 30.0
MAX_BYTES: Final = 64 * 1024
EARLY_SECONDS: Final = 30.0  # a token is not used up to its last moment: the call takes time, clocks differ
DEFAULT_LIFETIME_SECONDS: Final = 300.0  # where the answer does not say (RFC 6749, 5.1: it should)
_KEPT: Final = 1_000


class _Tokens:
    """The tokens that this process holds, by all that they were asked for with; safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: OrderedDict[str, tuple[float, str]] = OrderedDict()

    def get(self, key: str) -> str | None:
        with self._lock:
            ends_at, token = self._held.get(key, (0.0, ""))
            return token if time.monotonic() < ends_at else None

    def put(self, key: str, token: str, seconds: float) -> None:
        with self._lock:
            self._held[key] = (time.monotonic() + seconds, token)
            while len(self._held) > _KEPT:
                self._held.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._held.clear()


tokens = _Tokens()


def access_token(context: Context, credential: Credential) -> str:
    """A token that is good for now, masked in all that is stored of the attempt. Raises CredentialRefused."""
    key = hashlib.sha256(json.canonical(dict(credential.data))).hexdigest()
    token = tokens.get(key)
    if token is None:
        token, lifetime = _fetch(context, credential)
        if lifetime > EARLY_SECONDS:
            tokens.put(key, token, lifetime - EARLY_SECONDS)
    context.credentials.conceal(token)
    return token


def _fetch(context: Context, credential: Credential) -> tuple[str, float]:
    try:
        answer = egress(context.settings.allow_private_targets).send(_request(credential.data), context.cancel)
    except EgressCancelled:
        raise StepCancelled(context.cancel.reason) from None
    except EgressError as error:
        raise _refused(credential, str(error), retryable=error.retryable) from None
    if answer.status != 200:
        retryable = answer.status >= 500 or answer.status == 429
        raise _refused(credential, f"the answer's status is {answer.status}", retryable=retryable)
    return _read(credential, answer)


def _request(data: Mapping[str, str | int]) -> Outgoing:
    """The client proves itself by HTTP Basic, which every server has to take (RFC 6749, 2.3.1)."""
    form = {"grant_type": "client_credentials", **{name: data[name] for name in ("scope", "audience") if name in data}}
    pair = f"{quote_plus(str(data['client_id']))}:{quote_plus(str(data['client_secret']))}"
    return Outgoing(
        method="POST",
        url=str(data["token_url"]),
        headers={
            "authorization": f"Basic {base64.b64encode(pair.encode()).decode()}",
            "content-type": "application/x-www-form-urlencoded",
            "accept": "application/json",
        },
        body=urlencode(form).encode(),
        timeout_seconds=FETCH_SECONDS,
        max_bytes=MAX_BYTES,
    )


def _read(credential: Credential, answer: Answer) -> tuple[str, float]:
    """(token, seconds that it lives)."""
    try:
        found: Any = json.loads(answer.body)
    except ValueError:
        found = None
    token = found.get("access_token") if isinstance(found, dict) else None
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
        raise _refused(credential, "the answer holds no access_token", retryable=False)
    lifetime = found.get("expires_in")
    is_number = isinstance(lifetime, int | float) and not isinstance(lifetime, bool)
    return token, float(lifetime) if is_number else DEFAULT_LIFETIME_SECONDS


def _refused(credential: Credential, why: str, *, retryable: bool) -> CredentialRefused:
    message = f"No token was given for the credential {credential.name!r}: {why}."
    return CredentialRefused("credential_token", message, retryable=retryable)
