"""The envelope: what a view returns as a plain DRF `Response` leaves as `{"data": …, "meta": …}`."""

from collections.abc import Mapping
from typing import Any

from rest_framework.renderers import BaseRenderer

from flowforge.api.pagination import Page
from flowforge.core import json


class EnvelopeRenderer(BaseRenderer):
    """JSON by orjson. Problems and `Bare` answers never come here: they are rendered already."""

    media_type = "application/json"
    format = "json"
    charset = None  # JSON is UTF-8 (RFC 8259); the parameter has no meaning

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        response = (renderer_context or {}).get("response")
        if response is not None and response.status_code == 204:
            return b""
        if isinstance(data, Page):
            return json.dumps({"data": data.rows, "meta": data.meta})
        return json.dumps({"data": data, "meta": {}})
