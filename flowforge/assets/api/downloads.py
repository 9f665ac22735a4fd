"""Content going out: conditions, ranges, and headers that keep it from being anything but a file."""

import re
from typing import Final
from urllib.parse import quote

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from flowforge.api.http import matched_strongly, matched_weakly
from flowforge.assets import present
from flowforge.assets.api.ranges import NotSatisfiable, Part, part_of
from flowforge.assets.constants import BINARY
from flowforge.assets.models import Asset, AssetVersion
from flowforge.assets.services import reading
from flowforge.core.errors import PreconditionFailed, RangeNotSatisfiable

# what a browser would run or draw in the name of this server: it gets bytes instead
_ACTIVE: Final = re.compile(r"(?:text|application)/(?:html|xhtml|xml|xsl|javascript|ecmascript|x-javascript).*|.*\+xml")
_SUFFIXES: Final = {
    "text/plain": ".txt",
    "text/csv": ".csv",
    "text/markdown": ".md",
    "application/json": ".json",
    "application/x-ndjson": ".ndjson",
    "application/vnd.apache.parquet": ".parquet",
    "application/zip": ".zip",
    "application/pdf": ".pdf",
}
_PLAIN_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")


def download(request: Request, asset: Asset, version: AssetVersion) -> HttpResponseBase:
    """200, 206 or 304; raises PreconditionFailed (412), RangeNotSatisfiable (416). The order is that of 13.2.2."""
    tag = present.content_tag(version)
    asked = request.META.get("HTTP_IF_MATCH")
    if asked is not None and not matched_strongly(asked, tag):
        raise PreconditionFailed(detail="If-Match names another content.")
    known = request.META.get("HTTP_IF_NONE_MATCH")
    if known is not None and matched_weakly(known, tag) is not None:
        return HttpResponse(status=304, headers={"ETag": tag})
    part = _part(request, version, tag)
    whole = Part(start=0, end=version.size)
    return _answer(request, asset, version, part or whole, is_part=part is not None)


def _part(request: Request, version: AssetVersion, tag: str) -> Part | None:
    """What is asked for; the whole where `If-Range` names another content, or no tag at all (13.1.5)."""
    header = request.META.get("HTTP_RANGE")
    condition = request.META.get("HTTP_IF_RANGE")
    if header is None or (condition is not None and condition.strip() != tag):
        return None
    try:
        return part_of(header, version.size)
    except NotSatisfiable:
        detail = f"The content has {version.size} bytes; none of the ranges lies within."
        raise RangeNotSatisfiable(detail=detail, headers={"Content-Range": f"bytes */{version.size}"}) from None


def _answer(
    request: Request, asset: Asset, version: AssetVersion, part: Part, *, is_part: bool
) -> StreamingHttpResponse:
    pieces = reading.pieces(version, part.start, part.end)
    return StreamingHttpResponse(
        iter(()) if request.method == "HEAD" else pieces,
        status=206 if is_part else 200,
        content_type=shown_type(version.content_type, is_text=version.text is not None),
        headers={
            "ETag": present.content_tag(version),
            "Accept-Ranges": "bytes",
            "Content-Length": str(part.end - part.start),
            "Content-Disposition": disposition(asset.label, version.content_type),
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cache-Control": "private, no-cache",
            **({"Content-Range": part.header(version.size)} if is_part else {}),
        },
    )


def shown_type(content_type: str, *, is_text: bool) -> str:
    """The `Content-Type` that goes out."""
    if _ACTIVE.fullmatch(content_type):
        return BINARY
    return f"{content_type}; charset=utf-8" if is_text and content_type.startswith("text/") else content_type


def disposition(label: str, content_type: str) -> str:
    """A file to be saved (RFC 6266): its name in plain characters, and as it is (RFC 8187)."""
    suffix = _SUFFIXES.get(content_type, "")
    name = label if suffix and label.lower().endswith(suffix) else label + suffix
    name = "".join(character for character in name if character.isprintable()).replace("/", "_").replace("\\", "_")
    plain = _PLAIN_NAME.sub("_", name).strip("._") or "asset"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
