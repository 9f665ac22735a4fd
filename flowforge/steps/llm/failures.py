"""How calls of a model fail: each way has a code of its own, and says whether another attempt could help."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from flowforge.core import json
from flowforge.core.json import Json, JsonError
from flowforge.steps.base import Failed
from flowforge.steps.http_answer import retry_after
from flowforge.steps.llm.exchange import ReplyFailed, failure, member, piece

MAX_MESSAGE: Final = 500

_BY_STATUS: Final = {
    401: ("authentication_failed", False),
    403: ("authentication_failed", False),
    408: ("provider_error", True),
    409: ("provider_error", True),
    425: ("provider_error", True),
    429: ("rate_limited", True),
    503: ("overloaded", True),
    529: ("overloaded", True),  # Anthropic's own
}
# what is said in the middle of a stream, whose status was 200
_BY_TYPE: Final = {
    "overloaded_error": ("overloaded", True),
    "rate_limit_error": ("rate_limited", True),
    "rate_limit_exceeded": ("rate_limited", True),
    "authentication_error": ("authentication_failed", False),
    "permission_error": ("authentication_failed", False),
    "invalid_request_error": ("request_refused", False),
    "not_found_error": ("request_refused", False),
    "request_too_large": ("request_refused", False),
}


def of_status(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> Failed:
    """Of an answer that is no reply."""
    code, retryable = _BY_STATUS.get(status, ("provider_error", True) if status >= 500 else ("request_refused", False))
    said = _said(body)
    return Failed(
        code=code,
        message=f"The provider answered {status}{': ' if said else ''}{said}",
        retryable=retryable,
        retry_after_seconds=retry_after(headers.get("retry-after", ""), now),
        details={"status": status},
    )


def of_stream(error: Json) -> ReplyFailed:
    """Of an error that is told within a stream: `{type?, code?, message}`."""
    fault = error if isinstance(error, Mapping) else {"message": error}
    found = [_BY_TYPE[word] for word in (piece(fault.get("type")), piece(fault.get("code"))) if word in _BY_TYPE]
    code, retryable = found[0] if found else ("provider_error", True)
    said = piece(fault.get("message"))[:MAX_MESSAGE]
    return failure(code, f"The provider broke off: {said or 'no reason given'}", retryable=retryable)


def _said(body: bytes) -> str:
    """The message of an error's body; both providers write `{"error": {"message"}}`."""
    try:
        found = json.loads(body)
    except JsonError:
        return ""
    error = found.get("error") if isinstance(found, Mapping) else None
    return (piece(error) or piece(member(found, "error").get("message")))[:MAX_MESSAGE]
