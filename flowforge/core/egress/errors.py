"""How an outgoing call can fail. The messages name hosts, never whole URLs: a query may hold a key."""

from flowforge.core.errors import FlowForgeError


class EgressError(FlowForgeError):
    """Base of what an outgoing call raises."""

    code, status, title = "egress_failed", 502, "Outgoing call failed"


class EgressRefused(EgressError):
    """The target is not one that may be called."""

    code, status, title = "target_refused", 422, "Target refused"


class InvalidRequest(EgressError):
    """It is no request that could be sent: the URL, a header."""

    code, status, title = "invalid_request", 422, "Invalid outgoing request"


class ConnectionFailed(EgressError):
    """No name, no connection, no TLS, or an answer that broke off or is no HTTP."""

    code, status, title, retryable = "connection_failed", 502, "Connection failed", True


class EgressTimeout(EgressError):
    """The deadline passed."""

    code, status, title, retryable = "timeout", 504, "Outgoing call timed out", True


class ResponseTooLarge(EgressError):
    code, status, title = "response_too_large", 502, "Response too large"


class EgressCancelled(EgressError):
    """The caller's token said stop."""

    code, status, title = "cancelled", 499, "Outgoing call cancelled"
