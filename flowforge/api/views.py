"""The base of every endpoint: who calls, what it may, how it is answered."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpResponse
from django_filters import FilterSet
from rest_framework import viewsets
from rest_framework.request import Request

from flowforge.api import http, throttling
from flowforge.api.caller import Caller
from flowforge.api.filters import check_query, filtered
from flowforge.api.http import Bare, Enveloped
from flowforge.api.pagination import NEWEST_FIRST, WHOLE, Page, page_of, page_params
from flowforge.core.errors import MethodNotAllowed, NotAuthenticated
from flowforge.core.json import Json

__all__ = ["ApiViewSet", "Bare", "Enveloped"]


class ApiViewSet(viewsets.GenericViewSet[Any]):
    """Views validate, call a service or selector, and print; this does the rest.

    Helpers build the answers; errors are raised (`flowforge.core.errors`) and printed by `flowforge.api.problems`.
    """

    scopes: ClassVar[Mapping[str, str]] = {}  # action -> scope it needs; ANY_CALLER: whoever is authenticated
    public: ClassVar[bool] = False  # no credentials needed for any action
    rate_bucket: ClassVar[str] = "general"
    rate_buckets: ClassVar[Mapping[str, str]] = {}  # action -> another bucket
    query_params: ClassVar[Mapping[str, Collection[str]]] = {}  # action -> query parameters beside the reserved ones
    repeatable_params: ClassVar[Collection[str]] = ()  # those that may be given more than once
    any_query: ClassVar[bool] = False  # the query string is the client's own: nothing of it is ours to check
    filterset_class: ClassVar[type[FilterSet] | None] = None  # of `list`
    produces: ClassVar[Sequence[str]] = ()  # media types beside JSON that Accept may name
    bare: ClassVar[Collection[str]] = ()  # actions that answer without the envelope; for the OpenAPI document
    operation_ids: Mapping[str, str] = {}  # action -> id in the document, for the second route of an action
    errors: ClassVar[Mapping[str, Sequence[int]]] = {}  # action -> statuses beside the usual ones; likewise
    max_body_bytes: int | None = 1024 * 1024  # None: the view reads the stream itself
    page_key: ClassVar[Sequence[str]] = NEWEST_FIRST

    @property
    def caller(self) -> Caller:
        """Who calls. Raises NotAuthenticated where a public action was called without credentials."""
        found = self.request.auth
        if not isinstance(found, Caller):
            raise NotAuthenticated(detail="Send a Bearer token or an API key.")
        return found

    # --- before the action ---------------------------------------------------------------------------------------

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Method, credentials, rate, scope, query: in this order. Whoever fails at any of them is counted."""
        self.format_kwarg = None
        try:
            if self.action is None:
                raise MethodNotAllowed(headers={"Allow": ", ".join(self.allowed_methods)})
            if self.action != "metadata" and not self.public:
                self.perform_authentication(request)
        finally:
            throttling.count(request, self)
        if self.action != "metadata":
            self.check_permissions(request)
            neg = self.perform_content_negotiation(request)
            request.accepted_renderer, request.accepted_media_type = neg
            if request.GET and not self.any_query:
                check_query(request, self._known_query(), self.repeatable_params)

    def _known_query(self) -> Collection[str]:
        known = set(self.query_params.get(self.action, ()))
        if self.action == "list" and self.filterset_class is not None:
            known.update(self.filterset_class.base_filters)
        return known

    def options(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]  # the stubs say DRF's own Response
        """204 with `Allow`: what may be done here, without credentials (RFC 9110, 9.3.7)."""
        return HttpResponse(status=204, headers={"Allow": ", ".join(self.allowed_methods)})

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {}

    # --- reading -------------------------------------------------------------------------------------------------

    def page(self, queryset: QuerySet[Any, Any], *, key: Sequence[str] | None = None) -> Page:
        """The page of a (model, values or values_list) queryset that the client asked for."""
        return page_of(queryset, page_params(self.request), key=key or self.page_key)

    def filtered(self, queryset: QuerySet[Any, Any]) -> QuerySet[Any, Any]:
        """The queryset with the filters of `filterset_class` applied."""
        if self.filterset_class is None:
            return queryset
        return filtered(self.filterset_class, self.request, queryset)

    def check_if_match(self, current_representation: Json) -> None:
        """Raises PreconditionFailed (412) unless If-Match is absent or names the state that `ok` would tag now."""
        http.require_match(self.request.META.get("HTTP_IF_MATCH"), current_representation)

    # --- answering -----------------------------------------------------------------------------------------------

    def ok(
        self,
        data: Json | Page,
        *,
        etag_of: Json = None,
        tag: str | None = None,
        meta: Mapping[str, Any] | None = None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> HttpResponse:
        """200 with the envelope; a Page brings its meta, a list is a whole one.

        `etag_of`: the representation to tag, for single resources; or `tag`, one that was made (`http.tag_in_two`).
        """
        if isinstance(data, Page):
            return Enveloped(data.rows, data.meta, status=status, headers=headers)
        if isinstance(data, list):
            meta = meta or WHOLE
        if etag_of is None and tag is None:
            return Enveloped(data, meta, status=status, headers=headers)
        tag = tag or http.etag(etag_of)
        asked = self.request.META.get("HTTP_IF_NONE_MATCH")
        if asked is not None and self.request.method in ("GET", "HEAD"):
            matched = http.matched_weakly(asked, tag)
            if matched is not None:
                return HttpResponse(status=304, headers={"ETag": matched})
        return Enveloped(data, meta, status=status, headers={"ETag": tag, **(headers or {})})

    def created(self, data: Json, location: str, *, etag_of: Json = None) -> HttpResponse:
        """201: the new resource is at `location`."""
        return self.ok(data, etag_of=etag_of, status=201, headers={"Location": location})

    def accepted(self, data: Json, location: str) -> HttpResponse:
        """202: will be done; poll `location`."""
        return self.ok(data, status=202, headers={"Location": location})

    def no_content(self) -> HttpResponse:
        """204: done, nothing to say."""
        return HttpResponse(status=204)
