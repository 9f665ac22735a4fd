"""Objects in S3 and in what speaks like it.

By hand over the guarded client rather than by a library: so the same checks of addresses, deadline and cancelling hold,
and a name is resolved once. GET and PUT of one object are all that is asked for; a PUT of up to 5 GB is atomic, so a
reader finds the old object or the new one.
"""

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from flowforge.core import clock
from flowforge.core.egress import Outgoing, checked_url, egress, host_and_port
from flowforge.steps.base import Context, CredentialRefused
from flowforge.steps.data.failures import DataFailure, translated
from flowforge.steps.data.places import Place, seconds
from flowforge.steps.data.sigv4 import EMPTY_PAYLOAD, UNSIGNED_PAYLOAD, Keys, path_of, signed
from flowforge.steps.data.web import require_success, save, send
from flowforge.steps.http_proof import by_name_may_go_to

DEFAULT_REGION: Final = "us-east-1"
MAX_MARKS: Final = 40  # user metadata has room for 2 KB
_MARKS: Final = "x-amz-meta-flowforge-written-by"


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """Of an object: what a conditional write needs to know."""

    size: int
    etag: str
    marks: tuple[str, ...]  # of the last steps that have written it, newest last


@dataclass(frozen=True, kw_only=True, slots=True)
class New:
    """What is to be stored."""

    source: Path
    content_type: str
    marks: tuple[str, ...]  # of the steps that have written it, the one that does so now last


@dataclass(frozen=True, kw_only=True, slots=True)
class _Target:
    """Where an object is asked for, and as whom."""

    url: str
    host: str  # with its port where that is not the scheme's own, as the client sends it
    path: str
    keys: Keys | None
    region: str

    def headers(self, method: str, headers: dict[str, str], payload: str) -> dict[str, str]:
        if self.keys is None:
            return headers
        return signed(
            method=method,
            host=self.host,
            path=self.path,
            headers=headers,
            payload=payload,
            keys=self.keys,
            region=self.region,
            now=clock.now(),
        )


def fetch(context: Context, place: Place, into: Path) -> Stored:
    """Raises DataFailure, CredentialRefused, StepCancelled."""
    with translated(context):
        outgoing = _get(context, place, "GET")
        with egress(context.settings.allow_private_targets).stream(outgoing, context.cancel) as answer:
            require_success(answer, place.location.shown)
            marks = tuple(answer.headers.get(_MARKS, "").split())
            return Stored(size=save(answer, into), etag=answer.headers.get("etag", ""), marks=marks)


def put(context: Context, place: Place, new: New, *, replace: bool, if_match: str = "") -> None:
    """Store a file as the object: in place of whatever there is, of nothing or what the same step has stored (without
    `replace`), or of what has the etag `if_match`.

    Raises as `fetch`, `target_exists` and `target_changed` too.
    """
    headers = {"content-type": new.content_type, _MARKS: " ".join(new.marks[-MAX_MARKS:])}
    if if_match:
        headers["if-match"] = if_match
    elif not replace:
        headers["if-none-match"] = "*"
    try:
        with translated(context):
            target = _target(context, place)
            payload = UNSIGNED_PAYLOAD if target.url.startswith("https:") else _sha256(new.source)
            send(context, place, new.source, url=target.url, headers=target.headers("PUT", headers, payload))
    except DataFailure as failure:
        if failure.code != "target_exists" or new.marks[-1] not in _marks_there(context, place):
            raise


def _marks_there(context: Context, place: Place) -> tuple[str, ...]:
    with translated(context):
        answer = egress(context.settings.allow_private_targets).send(_get(context, place, "HEAD"), context.cancel)
    return tuple(answer.headers.get(_MARKS, "").split())


def _get(context: Context, place: Place, method: str) -> Outgoing:
    """Raises CredentialRefused, EgressError."""
    target = _target(context, place)
    return Outgoing(
        method=method,
        url=target.url,
        headers=target.headers(method, {"accept-encoding": "identity"}, EMPTY_PAYLOAD),
        timeout_seconds=seconds(context),
        max_bytes=context.settings.max_data_bytes,
        check_host=partial(by_name_may_go_to, context, place.credential),
    )


def _target(context: Context, place: Place) -> _Target:
    location = place.location
    public = {} if place.credential is None else context.credentials.public(place.credential)
    region = place.region or str(public.get("region") or DEFAULT_REGION)
    endpoint = place.endpoint or str(public.get("endpoint_url") or "")
    if not endpoint and "." not in location.host:
        base, path = f"https://{location.host}.s3.{region}.amazonaws.com", path_of(location.path)
    else:  # names with dots fit no wildcard certificate
        given = urlsplit(endpoint or f"https://s3.{region}.amazonaws.com")
        base = f"{given.scheme}://{given.netloc}"
        path = path_of(*filter(None, (given.path.strip("/"), location.host, location.path)))
    keys = _keys(context, place, base)
    host = checked_url(base).netloc.decode("ascii")
    return _Target(url=base + path, host=host, path=path, keys=keys, region=region)


def _keys(context: Context, place: Place, url: str) -> Keys | None:
    """None without a credential: the object is public. Raises CredentialRefused, EgressError."""
    host = host_and_port(checked_url(url))
    if place.credential is None:
        context.credentials.check(host)
        return None
    credential = context.credential(place.credential, host)
    if credential.type != "aws":
        message = f"S3 takes credentials of the type aws; {place.credential!r} is of the type {credential.type}."
        raise CredentialRefused("credential_type", message)
    data = {name: str(value) for name, value in credential.data.items()}
    return Keys(
        access_key_id=data["access_key_id"],
        secret_access_key=data["secret_access_key"],
        session_token=data.get("session_token", ""),
    )


def _sha256(source: Path) -> str:
    with open(source, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
