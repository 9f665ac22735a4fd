"""One attempt at one delivery, and what follows from how it went. No database here."""

import random
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

from flowforge.core.clock import isoformat
from flowforge.core.egress import Answer, Egress, EgressCancelled, EgressError, Outgoing
from flowforge.core.egress.call import Cancellable
from flowforge.core.redaction import MASK, is_sensitive
from webhooks import constants
from webhooks.signatures import signature_of

TIMEOUT_SECONDS: Final = 15.0  # for all of it, from the name to the last byte
KEPT_BYTES: Final = 4096  # of the answer
USER_AGENT: Final = "FlowForge-Webhooks/1"
_MAX_HEADERS: Final = 32
_MAX_HEADER_LENGTH: Final = 512
_JITTER: Final = 0.1
_MAX_WAIT: Final = timedelta(hours=24)  # that a Retry-After is heeded
GONE: Final = 410


@dataclass(frozen=True, kw_only=True, slots=True)
class Claimed:
    """A delivery that is ours to attempt, until `lease_until`."""

    id: uuid.UUID
    subscription_id: uuid.UUID
    url: str
    secrets: Sequence[str]  # newest first; two while one is rotated
    body: str
    attempt: int  # of the schedule: those before this one
    lease_token: int
    lease_until: datetime
    history: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How an attempt went."""

    claimed: Claimed
    at: datetime
    duration_ms: int
    status: int | None = None
    headers: Mapping[str, str] | None = None
    body: str = ""
    error: str = ""  # why there is no answer
    released: bool = False  # it was not made to its end: somebody else makes it, and it does not count

    @property
    def delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def retry_after(self) -> timedelta | None:
        """What the receiver asks for (RFC 9110, 10.2.3): seconds or a date."""
        text = (self.headers or {}).get("retry-after", "").strip()
        if text.isascii() and text.isdigit() and len(text) < 10:
            return min(timedelta(seconds=int(text)), _MAX_WAIT)
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        return None if moment.tzinfo is None else max(timedelta(0), min(moment - self.at, _MAX_WAIT))

    def as_row(self) -> dict[str, Any]:
        """What is kept of it."""
        return {
            "at": isoformat(self.at),
            "status": self.status,
            "headers": dict(self.headers or {}),
            "body": self.body,
            "error": self.error or None,
            "duration_ms": self.duration_ms,
        }


def perform(claimed: Claimed, client: Egress, now: Callable[[], datetime], cancel: Cancellable) -> Outcome:
    """Post it, once. Whatever happens is an outcome."""
    at, began = now(), time.monotonic()

    def outcome(**what: Any) -> Outcome:
        return Outcome(claimed=claimed, at=at, duration_ms=round((time.monotonic() - began) * 1000), **what)

    try:
        answer = client.send(_request(claimed, at), cancel)
    except EgressCancelled:
        return outcome(released=True)
    except EgressError as error:
        return outcome(error=f"{error.code}: {error.detail}"[:500])
    return outcome(status=answer.status, headers=_kept(answer), body=_text(answer))


def next_wait(attempt: int, outcome: Outcome) -> timedelta | None:
    """How long after the `attempt`th of the schedule (from 1) the next one comes; None: there is none."""
    if attempt > len(constants.RETRY_AFTER):
        return None
    wait = constants.RETRY_AFTER[attempt - 1] * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311  jitter
    return max(wait, outcome.retry_after or wait)


def _request(claimed: Claimed, at: datetime) -> Outgoing:
    """Standard Webhooks: the id stays, the moment is that of the attempt, each secret that holds gives a signature."""
    raw, timestamp, message_id = claimed.body.encode(), int(at.timestamp()), str(claimed.id)
    signatures = [
        signature_of(secret, message_id=message_id, timestamp=timestamp, body=raw) for secret in claimed.secrets
    ]
    headers = {
        "content-type": "application/json",
        "accept-encoding": "identity",
        "user-agent": USER_AGENT,
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }
    return Outgoing(
        method="POST",
        url=claimed.url,
        headers=headers,
        body=raw,
        timeout_seconds=TIMEOUT_SECONDS,
        max_bytes=KEPT_BYTES,
        cut_short=True,
    )


def _kept(answer: Answer) -> dict[str, str]:
    kept = list(answer.headers.items())[:_MAX_HEADERS]
    return {name[:100]: MASK if is_sensitive(name) else _clean(value[:_MAX_HEADER_LENGTH]) for name, value in kept}


def _text(answer: Answer) -> str:
    return _clean(answer.text())


def _clean(text: str) -> str:
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
