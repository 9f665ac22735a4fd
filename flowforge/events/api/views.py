"""Events about themselves: the AsyncAPI document."""

import functools

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flowforge.api import http
from flowforge.api.http import Bare
from flowforge.api.views import ApiViewSet
from flowforge.core import json
from flowforge.events.asyncapi import document


class EventSchemaViewSet(ApiViewSet):
    """`/v1/events/schema`."""

    public = True
    bare = ("asyncapi",)

    @extend_schema(
        operation_id="events_schema", responses={200: {"type": "object", "description": "An AsyncAPI 3 document."}}
    )
    def asyncapi(self, request: Request) -> HttpResponse:
        """The AsyncAPI 3 document: what is told, to whom, and the JSON Schema of each message."""
        content, tag = _rendered()
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if http.matched_weakly(request.META.get("HTTP_IF_NONE_MATCH", ""), tag):
            return HttpResponse(status=304, headers=headers)
        return Bare(content, headers=headers)


@functools.cache
def _rendered() -> tuple[bytes, str]:
    """Once a process: it does not change while it runs."""
    found = document()
    return json.dumps(found), http.etag(found)
