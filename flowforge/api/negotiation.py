"""Accept: JSON is what there is, save where a view says otherwise (`produces`)."""

from collections.abc import Sequence
from typing import Any

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request

from flowforge.core.errors import NotAcceptable, UnsupportedMediaType

_ANYTHING = frozenset(("*/*", "application/json", "application/*", ""))


class JsonNegotiation(BaseContentNegotiation):
    """Picks by Content-Type among parsers, and refuses (406) an Accept that excludes all that the view produces."""

    def select_parser(self, request: Request, parsers: Sequence[Any]) -> Any:
        essence = _essence(request.content_type or "application/json")
        for parser in parsers:
            if parser.media_type in (essence, "*/*"):
                return parser
        raise UnsupportedMediaType(
            detail=f"Send {' or '.join(parser.media_type for parser in parsers)}.",
            headers={"Accept": ", ".join(parser.media_type for parser in parsers)},
        )

    def select_renderer(
        self, request: Request, renderers: Sequence[Any], format_suffix: str | None = None
    ) -> tuple[Any, str]:
        renderer = renderers[0]
        accept = request.META.get("HTTP_ACCEPT", "")
        if accept not in _ANYTHING:
            view = (request.parser_context or {}).get("view")
            _require_acceptable(accept, getattr(view, "produces", ()))
        return renderer, renderer.media_type


def _require_acceptable(accept: str, produces: Sequence[str]) -> None:
    offered = {"application/json", "application/problem+json", *produces}
    for member in accept.split(","):
        essence, _, parameters = member.partition(";")
        essence = essence.strip().lower()
        if parameters.replace(" ", "").lower() in ("q=0", "q=0.0", "q=0.00", "q=0.000"):
            continue
        kind = essence.removesuffix("*")
        if essence == "*/*" or essence in offered or (kind != essence and any(o.startswith(kind) for o in offered)):
            return
    raise NotAcceptable(detail=f"This gives {', '.join(sorted(offered))}.")


def _essence(media_type: str) -> str:
    return media_type.partition(";")[0].strip().lower()
