"""Data behind http(s) URLs: fetched by GET, stored by PUT, through the guarded client."""

import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from flowforge.core.egress import Outgoing, Streamed, egress
from flowforge.steps.base import Context
from flowforge.steps.data.failures import DataFailure, translated
from flowforge.steps.data.places import Place, seconds
from flowforge.steps.http_proof import by_name_may_go_to, proof_by

_CHUNK: Final = 1024 * 1024
_RETRYABLE: Final = frozenset({408, 425, 429})  # and every 5xx
_NOT_THERE: Final = frozenset({404, 410})


def fetch(context: Context, place: Place, into: Path) -> tuple[int, str]:
    """(bytes, content type). Raises DataFailure, CredentialRefused, StepCancelled."""
    url = place.location.url
    with translated(context):
        outgoing = Outgoing(
            method="GET",
            url=url,
            headers=proof_by(context, place.credential, url),
            timeout_seconds=seconds(context),
            max_bytes=context.settings.max_data_bytes,
            follow_redirects=True,
            check_host=partial(by_name_may_go_to, context, place.credential),
        )
        with egress(context.settings.allow_private_targets).stream(outgoing, context.cancel) as answer:
            require_success(answer, place.location.host)
            return save(answer, into), answer.headers.get("content-type", "")


def put(context: Context, place: Place, source: Path, *, content_type: str, replace: bool) -> None:
    """Store a file. Without `replace` only where there is nothing yet (RFC 9110, 13.1.2). Raises as `fetch`."""
    url = place.location.url
    headers = {"content-type": content_type, "idempotency-key": context.idempotency_key}
    if not replace:
        headers["if-none-match"] = "*"
    with translated(context):
        send(context, place, source, url=url, headers=headers | proof_by(context, place.credential, url))


def send(context: Context, place: Place, source: Path, *, url: str, headers: Mapping[str, str]) -> Mapping[str, str]:
    """PUT a file; the answer's headers. Raises DataFailure, EgressError."""
    outgoing = Outgoing(
        method="PUT",
        url=url,
        headers={**headers, "content-length": str(source.stat().st_size)},
        body=_pieces(source),
        timeout_seconds=seconds(context),
        check_host=partial(by_name_may_go_to, context, place.credential),
    )
    with egress(context.settings.allow_private_targets).stream(outgoing, context.cancel) as answer:
        if answer.status in (409, 412):
            raise _conflict("if-none-match" in headers)
        require_success(answer, place.location.host)
        return answer.headers


def require_success(answer: Streamed, host: str) -> None:
    """Raises DataFailure `not_found` or `http_status`."""
    if 200 <= answer.status < 300:
        return
    if answer.status in _NOT_THERE:
        raise DataFailure("not_found", f"{host}: there is nothing (status {answer.status}).")
    retryable = answer.status >= 500 or answer.status in _RETRYABLE
    message = f"{host}: the answer's status is {answer.status}."
    raise DataFailure("http_status", message, retryable=retryable, details={"status": answer.status})


def save(answer: Streamed, into: Path) -> int:
    """The body as a file; its size. Raises EgressError."""
    size = 0
    with open(into, "xb", opener=_private) as file:
        for chunk in answer.chunks:
            size += file.write(chunk)
    return size


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _pieces(source: Path) -> Iterator[bytes]:
    with open(source, "rb") as file:
        while piece := file.read(_CHUNK):
            yield piece


def _conflict(wanted_none: bool) -> DataFailure:
    if wanted_none:
        return DataFailure("target_exists", "The target exists already.")
    return DataFailure("target_changed", "The target has been changed by somebody else meanwhile.", retryable=True)
