"""The one error base. Each error has a stable code and a HTTP status; the edges translate it, nobody else.

The catalogue of codes is what clients may rely on: `flowforge.api.problems` prints it as RFC 9457 problem details.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One thing wrong with a document, found by its place."""

    pointer: str  # RFC 6901 JSON pointer into the document that was sent; "" is the whole of it
    code: str  # stable, snake_case
    detail: str  # for people

    def under(self, prefix: str) -> "Fault":
        """The same fault, seen from a document that holds this one at `prefix`."""
        return Fault(pointer=prefix + self.pointer, code=self.code, detail=self.detail)

    def as_dict(self) -> dict[str, str]:
        return {"pointer": self.pointer, "code": self.code, "detail": self.detail}


@dataclass(kw_only=True, eq=False)  # an exception is itself, not its values: it has to be hashable
class FlowForgeError(Exception):
    """Base of all errors that FlowForge raises on purpose."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    retryable: ClassVar[bool] = False

    detail: str = ""
    faults: Sequence[Fault] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.detail or self.title


class MalformedRequest(FlowForgeError):
    code, status, title = "malformed_request", 400, "Malformed request"


class InvalidCursor(FlowForgeError):
    code, status, title = "invalid_cursor", 400, "Invalid cursor"


class InvalidQuery(FlowForgeError):
    code, status, title = "invalid_query", 400, "Invalid query parameter"


class NotAuthenticated(FlowForgeError):
    code, status, title = "not_authenticated", 401, "Credentials required"


class InvalidCredentials(FlowForgeError):
    code, status, title = "invalid_credentials", 401, "Invalid credentials"


class PermissionMissing(FlowForgeError):
    code, status, title = "permission_missing", 403, "Permission missing"


class NotFound(FlowForgeError):
    code, status, title = "not_found", 404, "Not found"


class MethodNotAllowed(FlowForgeError):
    code, status, title = "method_not_allowed", 405, "Method not allowed"


class NotAcceptable(FlowForgeError):
    code, status, title = "not_acceptable", 406, "Not acceptable"


class Conflict(FlowForgeError):
    code, status, title = "conflict", 409, "Conflict with the current state"


class QuotaExceeded(FlowForgeError):
    code, status, title = "quota_exceeded", 409, "Quota exceeded"


class PreconditionFailed(FlowForgeError):
    code, status, title = "precondition_failed", 412, "Precondition failed"


class BodyTooLarge(FlowForgeError):
    code, status, title = "body_too_large", 413, "Body too large"


class UnsupportedMediaType(FlowForgeError):
    code, status, title = "unsupported_media_type", 415, "Unsupported media type"


class RangeNotSatisfiable(FlowForgeError):
    code, status, title = "range_not_satisfiable", 416, "Range not satisfiable"


class InvalidBody(FlowForgeError):
    """Well-formed, but wrong: every fault is named."""

    code, status, title = "invalid", 422, "The request is invalid"


class IdempotencyKeyReused(FlowForgeError):
    code, status, title = "idempotency_key_reused", 422, "Idempotency key reused with another request"


class RateLimited(FlowForgeError):
    code, status, title, retryable = "rate_limited", 429, "Too many requests", True


class UpstreamFailed(FlowForgeError):
    code, status, title, retryable = "upstream_failed", 502, "Upstream failed", True


class Unavailable(FlowForgeError):
    code, status, title, retryable = "unavailable", 503, "Service unavailable", True
