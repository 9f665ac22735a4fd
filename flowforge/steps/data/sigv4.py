"""Signatures of requests to S3 (AWS Signature Version 4, "Authenticating Requests: Using the Authorization Header")."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import quote

UNSIGNED_PAYLOAD: Final = "UNSIGNED-PAYLOAD"  # over TLS
EMPTY_PAYLOAD: Final = hashlib.sha256(b"").hexdigest()

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_SERVICE: Final = "s3"


@dataclass(frozen=True, kw_only=True, slots=True)
class Keys:
    """Of an AWS credential."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


def path_of(*parts: str) -> str:
    """An absolute path in the one encoding that signatures know: unreserved characters alone are left as they are."""
    return "/" + quote("/".join(parts), safe="/-_.~")


def signed(
    *,
    method: str,
    host: str,
    path: str,
    headers: Mapping[str, str],
    payload: str,
    keys: Keys,
    region: str,
    now: datetime,
) -> dict[str, str]:
    """`headers` (names in lower case) with those that prove who asks; `path` is `path_of`'s, without a query.

    `payload` is the hex SHA-256 of the body, or UNSIGNED_PAYLOAD. `host` is not among the result: the client sets it.
    """
    moment = now.strftime("%Y%m%dT%H%M%SZ")
    found = {**headers, "x-amz-date": moment, "x-amz-content-sha256": payload}
    if keys.session_token:
        found["x-amz-security-token"] = keys.session_token
    to_sign = {**found, "host": host}
    names = ";".join(sorted(to_sign))
    lines = "".join(f"{name}:{' '.join(to_sign[name].split())}\n" for name in sorted(to_sign))
    request = "\n".join((method, path, "", lines, names, payload))
    scope = f"{moment[:8]}/{region}/{_SERVICE}/aws4_request"
    text = "\n".join((_ALGORITHM, moment, scope, hashlib.sha256(request.encode()).hexdigest()))
    signature = _mac(_key(keys.secret_access_key, scope), text).hex()
    found["authorization"] = (
        f"{_ALGORITHM} Credential={keys.access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return found


def _key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = _mac(key, part)
    return key


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
