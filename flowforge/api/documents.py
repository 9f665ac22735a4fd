"""The API about itself: the OpenAPI document, its pages for people, the catalogue of problems."""

import functools
from typing import Any, Final

import yaml
from django.http import HttpResponse
from django.template.loader import render_to_string
from django.urls import get_urlconf, path
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flowforge.api import catalogue, http
from flowforge.api.catalogue import ProblemType
from flowforge.api.http import Bare
from flowforge.api.pagination import page_params, slice_of
from flowforge.api.views import ApiViewSet
from flowforge.core import json
from flowforge.core.errors import InvalidQuery, NotFound

_YAML_TYPES: Final = ("application/yaml", "application/vnd.oai.openapi", "application/x-yaml", "text/yaml")
_CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self' data:; frame-ancestors 'none'; base-uri 'none'"
)


class Documents(ApiViewSet):
    """What programs and people read about the API."""

    public = True
    produces = (*_YAML_TYPES, "application/vnd.oai.openapi+json", "text/html", "application/xhtml+xml")
    bare = ("openapi", "pages")

    @extend_schema(responses={200: {"type": "object", "description": "An OpenAPI 3.1 document."}})
    def openapi(self, request: Request) -> HttpResponse:
        """The OpenAPI 3.1 document.

        As JSON, or as YAML by `Accept: application/yaml` or `?format=yaml`.
        """
        form = request.GET.get("format") or _accepted_form(request.META.get("HTTP_ACCEPT", ""))
        if form not in ("json", "yaml"):
            raise InvalidQuery(detail="format is json or yaml.")
        content, tag = _document(get_urlconf(), form)
        headers = {"ETag": tag, "Cache-Control": "no-cache", "Vary": "Accept"}
        if http.matched_weakly(request.META.get("HTTP_IF_NONE_MATCH", ""), tag):
            return HttpResponse(status=304, headers=headers)
        return Bare(content, content_type=f"application/{form}", headers=headers)

    @extend_schema(responses={(200, "text/html"): {"type": "string"}})
    def pages(self, request: Request) -> HttpResponse:
        """These pages, for people; they need no internet."""
        page = render_to_string("flowforge_api/docs.html")
        return Bare(page, content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": _CSP})

    @extend_schema(responses=ProblemType(many=True))
    def list(self, request: Request) -> HttpResponse:
        """List the kinds of problems: every code that an error may have."""
        return self.ok(slice_of(catalogue.entries(), page_params(request)))

    @extend_schema(responses=ProblemType)
    def retrieve(self, request: Request, code: str) -> HttpResponse:
        """Read about one kind of problem: what the `type` of a problem points to."""
        found = catalogue.entry(code)
        if found is None:
            raise NotFound(detail="There is no such kind of problem.")
        return self.ok(found, etag_of=found)


def generate(urlconf: str | None = None) -> dict[str, Any]:
    """The document of all routes."""
    document: dict[str, Any] = SchemaGenerator(urlconf=urlconf).get_schema(request=None, public=True)  # type: ignore[no-untyped-call]  # spectacular's own
    return document


@functools.cache
def _document(urlconf: str | None, form: str) -> tuple[bytes, str]:
    """Rendered once a process: the routes don't change while it runs."""
    document = generate(urlconf)
    if form == "yaml":
        content = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120).encode()
    else:
        content = json.dumps(document)
    return content, http.etag([form, document])


def _accepted_form(accept: str) -> str:
    """YAML if a YAML type is named before any JSON type."""
    for member in accept.split(","):
        essence = member.partition(";")[0].strip().lower()
        if essence in _YAML_TYPES:
            return "yaml"
        if essence.endswith("json"):
            return "json"
    return "json"


urlpatterns = [
    path("schema", Documents.as_view({"get": "openapi"}), name="schema"),
    path("docs", Documents.as_view({"get": "pages"}), name="docs"),
    path("problems", Documents.as_view({"get": "list"}), name="problems"),
    path("problems/<slug:code>", Documents.as_view({"get": "retrieve"}), name="problem"),
]
