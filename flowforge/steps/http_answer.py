"""What an answer means to an `http` step."""

import email.utils
import json as stdlib_json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from flowforge.core.egress import Answer
from flowforge.core.json import Json
from flowforge.steps.base import Completed, Failed, Outcome

_RETRYABLE: Final = frozenset({408, 425, 429})  # and every 5xx


def outcome(answer: Answer, expect_status: Json, now: datetime) -> Outcome:
    """Completed where the status is an expected one, else Failed, with what was answered."""
    output = {"status": answer.status, "headers": dict(answer.headers), **_content(answer)}
    if _is_expected(answer.status, expect_status):
        return Completed(output=output)
    return Failed(
        code="http_status",
        message=f"the answer's status is {answer.status}",
        retryable=answer.status >= 500 or answer.status in _RETRYABLE,
        retry_after_seconds=retry_after(answer.headers.get("retry-after", ""), now),
        details={"status": answer.status},
        output=output,
    )


def expected_redirect(expect_status: Json) -> bool:
    """Is a redirect itself what the step wants to see?"""
    return any(pattern.startswith("3") for pattern in _patterns(expect_status))


def retry_after(value: str, now: datetime) -> float | None:
    """Seconds of a Retry-After header (RFC 9110, 10.2.3: seconds or a date); None: it says nothing one can use."""
    if value.isascii() and value.isdigit():
        return float(value[:10])
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def _is_expected(status: int, expect_status: Json) -> bool:
    return any(pattern in (str(status), f"{status // 100}xx") for pattern in _patterns(expect_status))


def _patterns(expect_status: Json) -> Iterator[str]:
    """`204`, `2xx`."""
    for item in expect_status if isinstance(expect_status, list) else [expect_status]:
        yield str(item).lower()


def _content(answer: Answer) -> dict[str, Json]:
    """`{"json": …}` where the answer says that it is JSON and is, else `{"text": …}`.

    With the standard library's parser: it reads NaN and huge integers, which the engine replaces and marks.
    """
    media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "application/json" or media_type.endswith("+json"):
        try:
            return {"json": stdlib_json.loads(answer.body)}
        except (ValueError, RecursionError):
            pass  # it is not, whatever it says
    return {"text": answer.text()}
