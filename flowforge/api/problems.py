"""Errors as problem details (RFC 9457): the one place where an exception becomes an answer.

Whatever is raised below a view, and whatever Django would answer in HTML, leaves as `application/problem+json` with
`type, title, status, detail, instance, code, trace_id` and, for invalid documents, `errors` by JSON pointer.
"""

import logging
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from django.core import exceptions as django_errors
from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from rest_framework import exceptions as drf_errors
from rest_framework.request import Request

from flowforge.api.faults import faults_of
from flowforge.core import errors, json
from flowforge.core.errors import FlowForgeError
from flowforge.telemetry import trace

MEDIA_TYPE = "application/problem+json"
TYPE_BASE = "/v1/problems/"
CHALLENGE = 'Bearer realm="flowforge"'  # RFC 9110, 11.6.1; tokens and API keys both travel as Bearer
RETRY_AFTER_SECONDS = 2
_PATH_CHARACTERS: Final = "/:@!$&'()*+,;="  # what RFC 3986, 3.3 leaves as it is in a path, beside the unreserved

log = logging.getLogger("flowforge.api")

BY_STATUS: Mapping[int, type[FlowForgeError]] = {
    400: errors.MalformedRequest,
    401: errors.NotAuthenticated,
    403: errors.PermissionMissing,
    404: errors.NotFound,
    405: errors.MethodNotAllowed,
    406: errors.NotAcceptable,
    409: errors.Conflict,
    412: errors.PreconditionFailed,
    413: errors.BodyTooLarge,
    415: errors.UnsupportedMediaType,
    416: errors.RangeNotSatisfiable,
    422: errors.InvalidBody,
    429: errors.RateLimited,
    502: errors.UpstreamFailed,
    503: errors.Unavailable,
}


def exception_handler(error: Exception, context: Mapping[str, Any]) -> HttpResponse:
    """DRF's hook: every exception of a view becomes a problem; none is left for Django's HTML pages."""
    return answer(error, context["request"])


def answer(error: Exception, request: HttpRequest | Request) -> HttpResponse:
    """The response for an exception; a surprise is logged with its traceback and answered without."""
    known = translate(error)
    if known.status == 500:
        log.error("uncaught %s on %s %s", type(error).__name__, request.method, request.path, exc_info=error)
    elif known.status == 503:
        log.warning("unavailable on %s %s: %s", request.method, request.path, error)
    return respond(known, request)


def respond(known: FlowForgeError, request: HttpRequest | Request) -> HttpResponse:
    """The response for one of our errors, without a word in the log."""
    response = HttpResponse(json.dumps(problem(known, request)), status=known.status, content_type=MEDIA_TYPE)
    for name, value in {**_headers(known.status), **known.headers}.items():
        response[name] = value
    response._has_been_logged = True  # type: ignore[attr-defined]  # Django would add a line for every 4xx and 5xx
    return response


def problem(error: FlowForgeError, request: HttpRequest | Request) -> dict[str, Any]:
    """The problem document of an error: the members of RFC 9457 and our `code`, `trace_id` and `errors`."""
    return document(error, request.path)


def document(error: FlowForgeError, path: str) -> dict[str, Any]:
    """The same where there is no request, such as for bytes that aren't one. `path` is decoded."""
    here = trace.current()
    members: dict[str, Any] = {
        "type": TYPE_BASE + error.code,
        "title": error.title,
        "status": error.status,
        "detail": error.detail or error.title,
        "instance": quote(path, safe=_PATH_CHARACTERS),  # a URI reference, not a decoded path
        "code": error.code,
        "trace_id": here.trace_id if here else None,
    }
    if error.faults:
        members["errors"] = [fault.as_dict() for fault in error.faults]
    return {**error.extra, **members}


def translate(error: Exception) -> FlowForgeError:
    """Any exception as one of ours; what nobody foresaw becomes an internal error that says nothing."""
    if isinstance(error, FlowForgeError):
        return error
    if isinstance(error, drf_errors.APIException):
        return _from_drf(error)
    if isinstance(error, UnreadablePostError):
        return errors.MalformedRequest(detail="The body ended before it was whole.")
    if isinstance(error, Http404):
        return errors.NotFound()
    if isinstance(error, django_errors.RequestDataTooBig):
        return errors.BodyTooLarge()
    if isinstance(error, (django_errors.SuspiciousOperation, django_errors.BadRequest)):
        return errors.MalformedRequest(detail=str(error)[:300])
    if isinstance(error, django_errors.PermissionDenied):
        return errors.PermissionMissing()
    if isinstance(error, DatabaseError) and is_outage(error):
        return errors.Unavailable(detail="The database can't be reached just now.")
    return FlowForgeError(detail="Something went wrong on our side; the trace id finds it in our logs.")


def is_outage(error: DatabaseError) -> bool:
    """Is the database away or locked, so that the same call may succeed later? (Else it is a defect of ours.)"""
    if isinstance(error, InterfaceError):
        return True
    if not isinstance(error, OperationalError):
        return False
    text = str(error)
    # SQLite says "no such table" and the like with the same class: those are defects
    return not text.startswith(("no such", "near ", "table ", "too many SQL", "incomplete input"))


def _from_drf(error: drf_errors.APIException) -> FlowForgeError:
    if isinstance(error, drf_errors.ValidationError):
        return errors.InvalidBody(faults=faults_of(error.detail))
    known = BY_STATUS.get(error.status_code, FlowForgeError)
    detail = "" if isinstance(error.detail, (list, dict)) else str(error.detail)
    if isinstance(error, drf_errors.AuthenticationFailed):
        return errors.InvalidCredentials(detail=detail)
    return known(detail=detail)


def _headers(status: int) -> dict[str, str]:
    if status == 401:
        return {"WWW-Authenticate": CHALLENGE}
    if status == 503:
        return {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return {}
