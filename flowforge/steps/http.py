"""`http`: a call to another service, through the guarded client."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, ClassVar, Final
from urllib.parse import urldefrag, urlencode

from flowforge.core import clock, json
from flowforge.core.egress import EgressCancelled, EgressError, Outgoing, checked_url, egress
from flowforge.core.errors import Fault
from flowforge.core.json import Json
from flowforge.core.pointers import escape
from flowforge.kernel import durations
from flowforge.steps.base import BaseStep, Context, CredentialRefused, Failed, Kind, Outcome, StepCancelled
from flowforge.steps.http_answer import expected_redirect, outcome
from flowforge.steps.http_proof import may_go_to, proof_of
from flowforge.steps.values import holds_expression, text

DEFAULT_SECONDS: Final = 30.0

_METHODS: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_HEADERS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection"})  # the client's to set
_STATUS: Final = {
    "anyOf": [
        {"type": "integer", "minimum": 100, "maximum": 599},
        {"type": "string", "pattern": "^[1-5]([xX]{2}|[0-9]{2})$"},
    ]
}
_SCALAR: Final = {"type": ["string", "number", "boolean", "null"]}


class Http(BaseStep):
    """Its output is the answer; a status that was not expected fails."""

    name: ClassVar[str] = "http"
    title: ClassVar[str] = "HTTP request"
    description: ClassVar[str] = "Calls a URL. Each attempt of a step sends the same Idempotency-Key."
    kind: ClassVar[Kind] = "effect"
    # None: its own deadline, `timeout`, always ends it; the engine's default would cut a longer `timeout` off
    default_timeout_seconds: ClassVar[float | None] = None
    credential_members: ClassVar[frozenset[str]] = frozenset({"credential"})
    target_member: ClassVar[str | None] = "url"
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "required": ["url"],
        "additionalProperties": False,
        "properties": {
            "method": {"enum": _METHODS, "default": "GET", "title": "Method"},
            "url": {"type": "string", "minLength": 1, "title": "URL", "examples": ["https://example.com/orders"]},
            "headers": {"type": "object", "additionalProperties": _SCALAR, "title": "Headers"},
            "query": {
                "type": "object",
                "additionalProperties": {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR}]},
                "title": "Query",
                "description": "Added to the URL's own; a list repeats its name.",
            },
            "json": {"title": "JSON body"},
            "body": {"type": "string", "title": "Text body"},
            "timeout": {
                "type": ["string", "number"],
                "default": "30s",
                "title": "Timeout",
                "description": "For the whole call.",
            },
            "expect_status": {
                "anyOf": [_STATUS, {"type": "array", "items": _STATUS, "minItems": 1}],
                "default": "2xx",
                "title": "Expected status",
                "description": "A number, a class such as 2xx, or a list of these. GET and HEAD follow redirects, "
                "at most 3, unless a 3xx is expected.",
            },
            "credential": {
                "type": "string",
                "minLength": 1,
                "title": "Credential",
                "description": "The name of one of the project's, sent as its type says: token, basic, header or "
                "oauth2_client. To its hosts alone.",
            },
        },
    }
    output_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "required": ["status", "headers"],
        "properties": {
            "status": {"type": "integer"},
            "headers": {"type": "object", "additionalProperties": {"type": "string"}},
            "json": {"description": "The body, where it is JSON."},
            "text": {"type": "string", "description": "The body, where it is not."},
        },
    }

    def check(self, config: Mapping[str, Any]) -> list[Fault]:
        faults: list[Fault] = []
        if "json" in config and "body" in config:
            faults.append(Fault(pointer="/body", code="one_of", detail="give either json or body"))
        for name in _reserved(config.get("headers", {})):
            pointer = f"/headers/{escape(name)}"
            faults.append(Fault(pointer=pointer, code="reserved_header", detail="this header is set for you"))
        return faults + _check_url(config["url"]) + _check_timeout(config.get("timeout", DEFAULT_SECONDS))

    def run(self, context: Context) -> Outcome:
        try:
            outgoing = _outgoing(context)
            answer = egress(context.settings.allow_private_targets).send(outgoing, context.cancel)
        except ValueError as error:
            return Failed(code="invalid_config", message=str(error), retryable=False)
        except EgressCancelled:
            raise StepCancelled(context.cancel.reason) from None
        except EgressError as error:
            return Failed(code=error.code, message=str(error), retryable=error.retryable)
        except CredentialRefused as refused:
            return refused.failed()
        context.log("info", f"{outgoing.method} {_without_query(outgoing.url)} answered {answer.status}")
        return outcome(answer, context.config.get("expect_status", "2xx"), clock.now())


def _check_url(value: Json) -> list[Fault]:
    if holds_expression(value):
        return []
    try:
        checked_url(value)
    except EgressError as error:
        return [Fault(pointer="/url", code="invalid_url", detail=str(error))]
    return []


def _check_timeout(value: Json) -> list[Fault]:
    if holds_expression(value):
        return []
    try:
        _seconds(value)
    except ValueError as error:
        return [Fault(pointer="/timeout", code="invalid_timeout", detail=str(error))]
    return []


def _seconds(value: Json) -> float:
    """Raises ValueError, with a message for people."""
    seconds = durations.parse(value)
    if seconds == 0:
        raise ValueError("a timeout is more than nothing")
    return seconds


def _reserved(headers: Json) -> list[str]:
    return [name for name in headers if name.lower() in _OWN_HEADERS] if isinstance(headers, Mapping) else []


def _outgoing(context: Context) -> Outgoing:
    """Raises ValueError, with a message for people, on what only shows once the config is rendered.

    And CredentialRefused, and EgressError where a token has to be fetched for it.
    """
    config = context.config
    if reserved := _reserved(config.get("headers", {})):
        raise ValueError(f"the header {reserved[0]} is set for you")
    method = config.get("method", "GET")
    seconds = _seconds(config.get("timeout", DEFAULT_SECONDS))
    url = _url(config["url"], config.get("query", {}))
    headers = _headers(context, method)
    proof = proof_of(context, url)
    if taken := headers.keys() & proof.keys():
        raise ValueError(f"the header {min(taken)} is the credential's: leave it out")
    return Outgoing(
        method=method,
        url=url,
        headers=headers | proof,
        body=_body(config),
        timeout_seconds=seconds if context.timeout_seconds is None else min(seconds, context.timeout_seconds),
        follow_redirects=not expected_redirect(config.get("expect_status", "2xx")),
        check_host=partial(may_go_to, context) if context.credentials.in_use else None,
    )


def _url(url: str, query: Mapping[str, Json]) -> str:
    added = urlencode(list(_pairs(query)))
    if not added:
        return url
    base = urldefrag(url).url
    return f"{base}{'&' if '?' in base else '?'}{added}"


def _pairs(query: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """Null is as if it were not there."""
    for name, value in query.items():
        for item in value if isinstance(value, list) else [value]:
            if item is not None:
                yield name, text(item)


def _headers(context: Context, method: str) -> dict[str, str]:
    """The step's own, over what a request of a step has anyway; names in lower case."""
    headers: dict[str, str] = {}
    if context.traceparent:
        headers["traceparent"] = context.traceparent
    if method not in _SAFE_METHODS:
        headers["idempotency-key"] = context.idempotency_key
    if "json" in context.config:
        headers["content-type"] = "application/json"
    elif "body" in context.config:
        headers["content-type"] = "text/plain; charset=utf-8"
    given = context.config.get("headers", {})
    return headers | {name.lower(): text(value) for name, value in given.items() if value is not None}


def _body(config: Mapping[str, Any]) -> bytes | None:
    if "json" in config:
        return json.dumps(config["json"])
    return config["body"].encode("utf-8", "replace") if "body" in config else None


def _without_query(url: str) -> str:
    return url.partition("?")[0].partition("#")[0]  # it may hold a key
