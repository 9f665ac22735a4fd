"""The outermost layer: trace ids, limits on bodies, problems instead of HTML, gzip. Synchronous, as the server is."""

import gzip
from collections.abc import Callable
from typing import Any, Final

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware

from flowforge.api import problems, throttling
from flowforge.core.errors import BodyTooLarge, FlowForgeError, MalformedRequest, MethodNotAllowed, RateLimited
from flowforge.telemetry import spans

GetResponse = Callable[[HttpRequest], HttpResponseBase]

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
MAX_BODY_BYTES: Final = 1024 * 1024
GZIP_FROM_BYTES: Final = 1024
_HTML_PATHS: Final = ("/admin", "/static/")  # people's pages; everything else is for programs
_LIMITED_PATHS: Final = ("/v1", "/api/v1")
_PROBES: Final = ("/livez", "/readyz")  # asked by address, not by a name of ours
_COMPRESSIBLE: Final = ("application/json", "application/problem+json", "text/", "image/svg+xml", "application/yaml")


class ApiMiddleware:
    """Wraps every request: what is under /admin and /static keeps Django's own pages, the rest gets ours."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        name = request.method if request.method in METHODS else "HTTP"
        with spans.serving(request.META.get("HTTP_TRACEPARENT"), name) as here:
            response = self._answer(request)
            spans.note({"url.path": request.path, "http.response.status_code": response.status_code})
        response["X-Trace-Id"] = here.trace_id
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        """Read the body, up to what the view takes: by its declared length, and by counting what comes."""
        if request.method in ("GET", "HEAD", "OPTIONS") or not hasattr(view, "cls"):
            return None
        limit = view.initkwargs.get("max_body_bytes", getattr(view.cls, "max_body_bytes", MAX_BODY_BYTES))  # type: ignore[attr-defined]
        if limit is None:
            return None
        try:
            if "flowforge.body_too_large" in request.META:  # the server stopped reading: flowforge/asgi.py
                raise BodyTooLarge(detail="The body is larger than anything that is taken here.")
            _read_body(request, limit)
        except BodyTooLarge as error:
            return problems.answer(error, request)
        return None

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        refusal = _refusal(request)
        if refusal is None and request.path.startswith(_HTML_PATHS):
            return self.get_response(request)
        response = problems.answer(refusal, request) if refusal else self.get_response(request)
        if response.status_code >= 400 and response.get("Content-Type", "").startswith("text/html"):
            response = _problem_instead(response, request)
        if request.path.startswith(_LIMITED_PATHS):
            response = _limited(request, response)
        if not response.streaming:
            _finish(request, response)  # type: ignore[arg-type]  # not streaming: it has content
        return response


def _refusal(request: HttpRequest) -> FlowForgeError | None:
    """Why this request goes no further, if so."""
    if request.method not in METHODS:
        return MethodNotAllowed(headers={"Allow": ", ".join(METHODS)})
    if "\x00" in request.path:
        return MalformedRequest(detail="The path holds a NUL.")  # which databases don't agree on
    if request.path not in _PROBES:
        try:
            request.get_host()
        except DisallowedHost:
            return MalformedRequest(detail="This service isn't known by that host name.")
    return None


def _problem_instead(response: HttpResponseBase, request: HttpRequest) -> HttpResponse:
    """What Django answered in HTML (unknown routes, bad requests, failures in a middleware), as a problem."""
    known = problems.BY_STATUS.get(response.status_code, FlowForgeError)
    return _in_place_of(response, problems.respond(known(), request))  # Django has logged it


def _in_place_of(old: HttpResponseBase, new: HttpResponse) -> HttpResponse:
    """`new` with what the layers within have added to `old`: without CORS headers a browser would show neither."""
    for name, value in old.items():
        if name not in ("Content-Type", "Content-Length"):
            new.headers.setdefault(name, value)
    return new


def _limited(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """The response with its rate headers; a 429 instead if nobody has counted the request and the limit is reached."""
    try:
        throttling.count_unclaimed(request)
    except RateLimited as error:
        response = _in_place_of(response, problems.answer(error, request))
    throttling.add_headers(request, response)
    return response


def _read_body(request: HttpRequest, limit: int) -> None:
    declared = request.META.get("CONTENT_LENGTH") or "0"
    if declared.isdigit() and int(declared) > limit:
        raise BodyTooLarge(detail=f"The body has {declared} bytes; {limit} are taken here.")
    raw = request.read(limit + 1)
    if len(raw) > limit:
        raise BodyTooLarge(detail=f"The body has more than the {limit} bytes that are taken here.")
    request._body = raw  # where HttpRequest.body keeps what it read
    request.META["CONTENT_LENGTH"] = str(len(raw))  # a chunked body declares none, and DRF would take it for empty


def _finish(request: HttpRequest, response: HttpResponse) -> None:
    headers = response.headers
    headers.setdefault("X-Content-Type-Options", "nosniff")  # a refusal of ours never met SecurityMiddleware
    if "Cache-Control" not in headers:
        # with a tag a client may keep it and ask again; without one there is nothing to ask with
        headers["Cache-Control"] = "private, no-cache" if "ETag" in headers else "no-store"
    if len(response.content) >= GZIP_FROM_BYTES:
        _compress(request, response)
    if response.status_code in (204, 304):
        headers.pop("Content-Type", None)  # there is no content to have one, least of all Django's text/html
    else:
        headers["Content-Length"] = str(len(response.content))


def _compress(request: HttpRequest, response: HttpResponse) -> None:
    headers = response.headers
    if "Content-Encoding" in headers or not headers.get("Content-Type", "").startswith(_COMPRESSIBLE):
        return
    headers["Vary"] = f"{headers['Vary']}, Accept-Encoding" if "Vary" in headers else "Accept-Encoding"
    if not _takes_gzip(request.META.get("HTTP_ACCEPT_ENCODING", "")):
        return
    response.content = gzip.compress(response.content, compresslevel=4, mtime=0)
    headers["Content-Encoding"] = "gzip"
    tag = headers.get("ETag")
    if tag:
        headers["ETag"] = tag[:-1] + '-gzip"'


def _takes_gzip(accept_encoding: str) -> bool:
    """RFC 9110, 12.5.3: is gzip (or anything) taken with a weight above zero?"""
    takes_any = False
    for member in accept_encoding.lower().split(","):
        coding, _, parameter = member.partition(";")
        refused = parameter.replace(" ", "") in ("q=0", "q=0.0", "q=0.00", "q=0.000")
        if coding.strip() in ("gzip", "x-gzip"):
            return not refused
        if coding.strip() == "*":
            takes_any = not refused
    return takes_any


class SessionForAdminMiddleware:
    """Session, CSRF, authentication and messages for /admin/ alone: API calls carry no cookie and shouldn't pay."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self._csrf = CsrfViewMiddleware(get_response)
        self._admin = SessionMiddleware(
            _WithCsrf(AuthenticationMiddleware(MessageMiddleware(get_response)), self._csrf)  # type: ignore[arg-type]
        )

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path.startswith("/admin"):
            return self._admin(request)  # type: ignore[return-value]  # a coroutine only under async
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        """CSRF is checked once the view is known: a view may be exempt."""
        if request.path.startswith("/admin"):
            return self._csrf.process_view(request, view, args, kwargs)
        return None


class _WithCsrf:
    """The request and response half of CsrfViewMiddleware, around the layers below the session."""

    def __init__(self, get_response: GetResponse, csrf: CsrfViewMiddleware) -> None:
        self.get_response = get_response
        self.csrf = csrf

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        self.csrf.process_request(request)
        return self.csrf.process_response(request, self.get_response(request))
