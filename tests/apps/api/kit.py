"""A tiny API of its own, so that the kit is tested without any app: things in a dict, projects as rows."""

import uuid
from typing import Any

from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django_filters import CharFilter, FilterSet, NumberFilter
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.response import Response

from flowforge.api.caller import Caller
from flowforge.api.http import Bare
from flowforge.api.idempotency import Later, idempotent
from flowforge.api.permissions import ANY_CALLER
from flowforge.api.serializers import StrictSerializer, body
from flowforge.api.views import ApiViewSet
from flowforge.core.errors import Conflict, InvalidCredentials, NotFound
from flowforge.projects.models import Project

PROJECT = uuid.UUID("01900000-0000-7000-8000-000000000001")
OTHER = uuid.UUID("01900000-0000-7000-8000-000000000002")


class HeaderAuthentication(BaseAuthentication):
    """`X-Test-Caller: <scopes>[;<overrides of general>]` is a caller; `bad` is a refused credential."""

    def authenticate(self, request: Request) -> tuple[None, Caller] | None:
        text = request.META.get("HTTP_X_TEST_CALLER")
        if text is None:
            return None
        if text == "bad":
            raise InvalidCredentials(detail="No such key.")
        scopes, _, override = text.partition(";")
        projects = (PROJECT, OTHER) if "two" in scopes else (PROJECT,)
        grants = {project: frozenset(scopes.split()) for project in projects}
        limits = {PROJECT: {"general": override}} if override else {}
        return None, Caller(kind="key", id="k1", name="test", grants=grants, rate_limits=limits)


class Part(StrictSerializer):
    name = serializers.CharField(max_length=10)
    size = serializers.IntegerField(min_value=1, required=False)


class Thing(StrictSerializer):
    id = serializers.CharField(read_only=True)
    name = serializers.CharField(max_length=10)
    tags = serializers.ListField(child=serializers.CharField(max_length=5), required=False)
    parts = Part(many=True, required=False)
    main = Part(required=False)


class ThingFilter(FilterSet):
    name = CharFilter(field_name="name", lookup_expr="icontains")
    least = NumberFilter(method="by_least")

    def by_least(self, queryset: Any, name: str, value: Any) -> Any:
        return queryset

    class Meta:
        model = Project
        fields: list[str] = []


class Things(ApiViewSet):
    """Things."""

    authentication_classes = [HeaderAuthentication]
    serializer_class = Thing
    filterset_class = ThingFilter
    scopes = {
        "list": "workflows:read",
        "retrieve": "workflows:read",
        "create": "workflows:write",
        "partial_update": "workflows:write",
        "destroy": "workflows:write",
        "run": "runs:write",
        "me": ANY_CALLER,
        "raw": "workflows:read",
        "big": "workflows:read",
        "fail": ANY_CALLER,
        "plain": ANY_CALLER,
        "names": ANY_CALLER,
    }
    rate_buckets = {"run": "runs"}
    bare = ("raw",)
    query_params = {"fail": ("how",), "retrieve": ("diff",)}
    rows: dict[str, dict[str, Any]] = {}
    made = 0

    def list(self, request: Request) -> HttpResponse:
        rows = self.filtered(Project.objects.all()).values("id", "name", "created_at")
        return self.ok(self.page(rows))

    def retrieve(self, request: Request, pk: str) -> HttpResponse:
        row = self._row(pk)
        return self.ok(row, etag_of=row)

    @idempotent
    def create(self, request: Request) -> HttpResponse:
        fields = body(Thing, request)
        if fields["name"] == "taken":
            raise Conflict(detail="There is one.")
        if fields["name"] == "broken":
            raise OperationalError("connection to server was lost")
        Things.made += 1
        row = {"id": f"t{Things.made}", **fields}
        Project.objects.create(name=fields["name"])
        Things.rows[row["id"]] = row
        return self.created(row, f"/v1/things/{row['id']}", etag_of=row)

    def partial_update(self, request: Request, pk: str) -> HttpResponse:
        row = self._row(pk)
        self.check_if_match(row)
        row.update(body(Thing, request, partial=True))
        return self.ok(row, etag_of=row)

    def destroy(self, request: Request, pk: str) -> HttpResponse:
        self.check_if_match(self._row(pk))
        del Things.rows[pk]
        return self.no_content()

    def names(self, request: Request) -> HttpResponse:
        return self.ok(sorted(row["name"] for row in Things.rows.values()))

    @idempotent
    def run(self, request: Request, pk: str) -> HttpResponse | Later:
        Things.made += 1
        run = {"id": f"r{Things.made}", "status": "pending"}
        accepted = self.accepted(run, f"/v1/runs/{run['id']}")
        return Later(stored=accepted, then=lambda: self.ok({**run, "status": "completed"}))

    def me(self, request: Request) -> HttpResponse:
        return self.ok({"name": self.caller.name})

    @extend_schema(request=None, responses={202: {"type": "object"}})
    def raw(self, request: Request) -> HttpResponse:
        return Bare({"execution_id": "x"}, status=202)

    def big(self, request: Request) -> HttpResponse:
        data = {"text": "x" * 3000}
        return self.ok(data, etag_of=data)

    def plain(self, request: Request) -> Response:
        return Response({"plain": True})

    def fail(self, request: Request) -> HttpResponse:
        how = request.query_params["how"]
        raise {
            "surprise": ValueError("secret detail"),
            "lost": OperationalError("server closed the connection unexpectedly"),
            "locked": OperationalError("database is locked"),
            "defect": OperationalError("no such table: things"),
            "missing": NotFound(detail="No thing."),
        }[how]

    def forgotten(self, request: Request) -> HttpResponse:
        return self.ok({})

    def _row(self, pk: str) -> dict[str, Any]:
        if pk not in Things.rows:
            raise NotFound(detail="No such thing.")
        return Things.rows[pk]


class Open(ApiViewSet):
    """Needs no credentials."""

    authentication_classes = [HeaderAuthentication]
    public = True
    rate_bucket = "login"
    max_body_bytes = 2 * 1024 * 1024

    @extend_schema(request=OpenApiTypes.OBJECT, responses={200: {"type": "object"}})
    def create(self, request: Request) -> HttpResponse:
        return self.ok({"size": len(request.body)})


def explode(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("secret detail")


urlpatterns = [
    path("v1/things", Things.as_view({"get": "list", "post": "create"})),
    path("v1/things/me", Things.as_view({"get": "me"})),
    path("v1/things/dialect", Things.as_view({"get": "me"}, rate_buckets={"me": "dialect"})),
    path("v1/things/names", Things.as_view({"get": "names"})),
    path("v1/things/raw", Things.as_view({"post": "raw"})),
    path("v1/things/big", Things.as_view({"get": "big"})),
    path("v1/things/plain", Things.as_view({"get": "plain"})),
    path("v1/things/fail", Things.as_view({"get": "fail"})),
    path("v1/things/forgotten", Things.as_view({"get": "forgotten"})),
    path("v1/things/<str:pk>:run", Things.as_view({"post": "run"})),
    path("v1/things/<str:pk>", Things.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"})),
    path("v1/open", Open.as_view({"post": "create"})),
    path("v1/explode", explode),
]
