"""Signatures of calls, over the raw bytes, by the schemes of those who send them. Plain functions of values.

| scheme | signed | sent as |
|---|---|---|
| standard | `id.timestamp.body` | `webhook-signature: v1,<base64> v1,…` (standardwebhooks.com; also as `svix-…`) |
| github | the body | `X-Hub-Signature-256: sha256=<hex>` |
| stripe | `timestamp.body` | `Stripe-Signature: t=<timestamp>,v1=<hex>,v1=…` |
| slack | `v0:timestamp:body` | `X-Slack-Signature: v0=<hex>` |
| generic | the body | `X-Signature: sha256=<hex>`, or another header |
"""

import base64
import binascii
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flowforge.core.errors import InvalidCredentials
from webhooks import constants

PREFIX: Final = "whsec_"  # of a secret of Standard Webhooks: base64 of 24 to 64 bytes follows
_MAX_SIGNATURES: Final = 16  # in one header: each costs a comparison
_MAX_ID_LENGTH: Final = 250


@dataclass(frozen=True, kw_only=True, slots=True)
class Signed:
    """A call as its scheme reads it."""

    headers: Mapping[str, str]  # names in lower case
    body: bytes
    header: str  # the name of `generic`'s


@dataclass(frozen=True, kw_only=True, slots=True)
class _Parts:
    """What a header claims."""

    content: bytes
    digests: Sequence[str]  # hex, any of which may be right
    timestamp: str | None = None  # Unix seconds as sent; None: the scheme has none


@dataclass(kw_only=True, eq=False)
class SignatureRefused(InvalidCredentials):
    """401; `reason` is what the call's row says."""

    reason: str = "invalid_signature"


def verify(scheme: str, signed: Signed, secrets: Iterable[str], now: datetime) -> None:
    """Raises SignatureRefused (401) unless one of the secrets has signed these bytes, just now.

    Without any secret nothing is right. All of them are tried, and all signatures, however early one fits.
    """
    parts = _READERS[scheme](signed)
    if parts.timestamp is not None:
        _check_time(parts.timestamp, now)
    matches = [
        hmac.compare_digest(hmac.digest(key, parts.content, "sha256").hex(), digest)
        for key in _keys(scheme, secrets)
        for digest in parts.digests
    ]
    if not any(matches):
        raise _refused("The signature does not fit the body.")


def headers_of(scheme: str, header: str) -> frozenset[str]:
    """The headers that carry signatures, in lower case: they are not kept."""
    return frozenset({_SIGNATURE_HEADERS.get(scheme, header.lower()), "svix-signature"})


def is_present(scheme: str, signed: Signed) -> bool:
    """Does the call carry a signature at all?"""
    return any(name in signed.headers for name in headers_of(scheme, signed.header))


def _keys(scheme: str, secrets: Iterable[str]) -> list[bytes]:
    if scheme != constants.STANDARD:
        return [secret.encode() for secret in secrets if secret]
    return [key for secret in secrets if (key := standard_key(secret)) is not None]


def _check_time(text: str, now: datetime) -> None:
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise _refused("The timestamp is none.")
    if abs(now.timestamp() - int(text)) > constants.TOLERANCE.total_seconds():
        raise SignatureRefused(reason="stale_timestamp", detail="The timestamp is more than 5 minutes off.")


def _standard(signed: Signed) -> _Parts:
    brand = "svix" if "svix-signature" in signed.headers else "webhook"
    message_id = _header(signed, f"{brand}-id")
    timestamp = _header(signed, f"{brand}-timestamp")
    if "." in message_id or len(message_id) > _MAX_ID_LENGTH:  # else two messages could have one signed content
        raise _refused("The id may not hold a dot.")
    entries = _header(signed, f"{brand}-signature").split(" ")[:_MAX_SIGNATURES]
    pairs = [entry.partition(",") for entry in entries]
    digests = [_hex_of_base64(text) for version, _, text in pairs if version == "v1"]
    content = f"{message_id}.{timestamp}.".encode() + signed.body
    return _Parts(content=content, digests=digests, timestamp=timestamp)


def _github(signed: Signed) -> _Parts:
    return _Parts(content=signed.body, digests=_prefixed("sha256=", _header(signed, "x-hub-signature-256")))


def _stripe(signed: Signed) -> _Parts:
    """`v0` is a fake of Stripe's for tests: only `v1` counts."""
    entries = [entry.strip().partition("=") for entry in _header(signed, "stripe-signature").split(",")]
    times = [text for name, _, text in entries if name == "t"]
    if len(times) != 1:
        raise _refused("The signature names no timestamp, or several.")
    digests = [text.lower() for name, _, text in entries[:_MAX_SIGNATURES] if name == "v1"]
    return _Parts(content=f"{times[0]}.".encode() + signed.body, digests=_ascii(digests), timestamp=times[0])


def _slack(signed: Signed) -> _Parts:
    timestamp = _header(signed, "x-slack-request-timestamp")
    digests = _prefixed("v0=", _header(signed, "x-slack-signature"))
    return _Parts(content=f"v0:{timestamp}:".encode() + signed.body, digests=digests, timestamp=timestamp)


def _generic(signed: Signed) -> _Parts:
    return _Parts(content=signed.body, digests=_prefixed("sha256=", _header(signed, signed.header.lower())))


_READERS: Final[Mapping[str, Callable[[Signed], _Parts]]] = {
    constants.STANDARD: _standard,
    constants.GITHUB: _github,
    constants.STRIPE: _stripe,
    constants.SLACK: _slack,
    constants.GENERIC: _generic,
}
_SIGNATURE_HEADERS: Final = {
    constants.STANDARD: "webhook-signature",
    constants.GITHUB: "x-hub-signature-256",
    constants.STRIPE: "stripe-signature",
    constants.SLACK: "x-slack-signature",
}


def _header(signed: Signed, name: str) -> str:
    text = signed.headers.get(name, "").strip()
    if not text:
        raise SignatureRefused(reason="missing_signature", detail=f"The header {name} is missing.")
    return text


def _prefixed(prefix: str, text: str) -> list[str]:
    return _ascii([text.removeprefix(prefix).lower()]) if text.startswith(prefix) else []


def _ascii(texts: Iterable[str]) -> list[str]:
    """Comparing takes ASCII alone; what is not was never a digest."""
    return [text for text in texts if text.isascii()]


def _hex_of_base64(text: str) -> str:
    """What is no base64 becomes a digest that none equals."""
    try:
        return base64.b64decode(text, validate=True).hex()
    except ValueError:
        return ""


def _refused(detail: str) -> SignatureRefused:
    return SignatureRefused(detail=detail)


def signature_of(secret: str, *, message_id: str, timestamp: int, body: bytes) -> str:
    """Of Standard Webhooks: `v1,<base64>`. The secret is one of ours."""
    key = standard_key(secret) or secret.encode()
    digest = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, "sha256")
    return "v1," + base64.b64encode(digest).decode()


def standard_key(secret: str) -> bytes | None:
    """The key that a Standard Webhooks secret stands for; None if it is none."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if 24 <= len(key) <= 64 else None
