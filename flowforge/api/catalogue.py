"""The catalogue of problem codes: what each means and what to do about it. Clients may rely on all of it."""

from typing import Any, Final

from rest_framework import serializers

from flowforge.core.errors import FlowForgeError

_ADVICE: Final = {
    "malformed_request": "The request can't be read: broken or ambiguous JSON, another encoding than UTF-8, a bad "
    "header. Mend it before sending it again.",
    "invalid_cursor": "The cursor was changed, or belongs to another listing or other filters. Start anew.",
    "invalid_query": "A query parameter is unknown, doubled, of the wrong type or out of range; `detail` names it.",
    "not_authenticated": "Send `Authorization: Bearer …` with an access token or an API key, or `X-API-KEY`.",
    "invalid_credentials": "The token or key is unknown, expired or revoked. Refresh it or ask for another.",
    "permission_missing": "The caller lacks the scope or role that `detail` names.",
    "not_found": "There is no such thing, or it is in a project that the caller can't see.",
    "method_not_allowed": "The resource has no such method; `Allow` lists those that it has.",
    "not_acceptable": "`Accept` excludes every media type that this gives.",
    "conflict": "The resource is in a state that forbids this now. Read it again, then decide.",
    "quota_exceeded": "The project keeps as many bytes as it may. Remove assets, or have `max_asset_bytes` of the "
    "project's settings raised.",
    "precondition_failed": "`If-Match` names another state of the resource: somebody changed it. Read it again.",
    "body_too_large": "The body is over the limit: 1 MiB, 5 MiB for definitions, what the operator says for uploads.",
    "unsupported_media_type": "The body's media type isn't read here; `Accept` lists those that are.",
    "range_not_satisfiable": "None of the ranges lies within the content; `Content-Range` tells its size.",
    "invalid": "Well-formed, but wrong: `errors` lists every fault with its JSON pointer, code and detail.",
    "idempotency_key_reused": "This `Idempotency-Key` came with another request in the last 24 hours.",
    "rate_limited": "Too many calls. Wait for the seconds that `Retry-After` tells.",
    "upstream_failed": "A service that FlowForge called on your behalf failed. Try again later.",
    "unavailable": "The store or the engine can't be reached, or the engine is paused. Wait for `Retry-After` seconds.",
    "internal_error": "A defect on our side. `trace_id` finds it in the logs.",
}


class ProblemType(serializers.Serializer[dict[str, Any]]):
    """A kind of problem."""

    code = serializers.CharField(help_text="Stable; what a program should look at.")
    status = serializers.IntegerField(help_text="The HTTP status that it comes with.")
    title = serializers.CharField()
    retryable = serializers.BooleanField(help_text="May the same request succeed later?")
    description = serializers.CharField(help_text="What it means and what to do.")


def entries() -> list[dict[str, Any]]:
    """`{code, status, title, retryable, description}` of every code, by status and code."""
    every: list[type[FlowForgeError]] = [FlowForgeError, *_below(FlowForgeError)]
    kinds = {kind.code: kind for kind in every}
    return sorted((_entry(kind) for kind in kinds.values()), key=lambda entry: (entry["status"], entry["code"]))


def entry(code: str) -> dict[str, Any] | None:
    return next((found for found in entries() if found["code"] == code), None)


def _entry(kind: type[FlowForgeError]) -> dict[str, Any]:
    return {
        "code": kind.code,
        "status": kind.status,
        "title": kind.title,
        "retryable": kind.retryable,
        "description": _ADVICE.get(kind.code) or kind.__doc__ or kind.title,
    }


def _below(kind: type[FlowForgeError]) -> list[type[FlowForgeError]]:
    children = kind.__subclasses__()
    return children + [grandchild for child in children for grandchild in _below(child)]
