"""Accept: JSON is what there is, save where a view says otherwise (`produces`)."""

from collections.abc import Iterable, Sequence

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from flowforge.core.errors import NotAcceptable, UnsupportedMediaType

_ANYTHING = frozenset(("*/*", "application/json", "application/*", ""))


class JsonNegotiation(BaseContentNegotiation):
    """Picks by Content-Type among parsers, and refuses (406) an Accept that excludes all that the view produces."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser:
        _require_plain(request.META.get("HTTP_CONTENT_ENCODING", ""))
        essence = _essence(request.content_type or "application/json")
        taken = {parser.media_type or "": parser for parser in parsers}
        if essence not in taken:
            raise UnsupportedMediaType(detail=f"Send {' or '.join(taken)}.", headers={"Accept": ", ".join(taken)})
        return taken[essence]

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        accept = request.META.get("HTTP_ACCEPT", "")
        if accept not in _ANYTHING:
            view = (request.parser_context or {}).get("view")
            _require_acceptable(accept, getattr(view, "produces", ()))
        return renderer, renderer.media_type or ""


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


def _require_plain(content_encoding: str) -> None:
    """A body that was coded on its way is refused (RFC 9110, 15.5.16) rather than read as if it weren't."""
    if content_encoding.strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType(detail="Send the body as it is.", headers={"Accept-Encoding": "identity"})


def _essence(media_type: str) -> str:
    return media_type.partition(";")[0].strip().lower()
