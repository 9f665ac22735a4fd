"""What the OpenAPI document says of each operation beside the docstring of its action."""

from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from flowforge.api.operations import AT, Operation, asked, given
from flowforge.assets.api.serializers import (
    AssetBody,
    AssetRow,
    AssetShown,
    AssetVersionShown,
    ContentBody,
    NewAssetBody,
    RenderBody,
    RenderedShown,
)

_ASKED: Final[dict[str, Any]] = {
    "type": "prompt",
    "label": "Summary of an order",
    "content": "Summarise the order of {{ customer }} in {{ words }} words.",
    "metadata": {"owner": "sales"},
}
_ROW: Final[dict[str, Any]] = {
    "id": "01981f5e-0000-7000-8000-000000000008",
    "project_id": "01981f5e-0000-7000-8000-000000000001",
    "type": "prompt",
    "label": "Summary of an order",
    "metadata": {"owner": "sales"},
    "version": 1,
    "size": 59,
    "sha256": "9b2b1c0c36a5ab1c2a4b7f8a44e0bd2d1f3c5e6a7b8c9d0e1f2a3b4c5d6e7f80",
    "content_type": "text/plain",
    "created_at": AT,
    "updated_at": AT,
}
_SHOWN: Final = {**_ROW, "content": _ASKED["content"], "variables": ["customer", "words"]}
_VERSION: Final = {
    **{name: _ROW[name] for name in ("version", "size", "sha256", "content_type", "created_at")},
    "created_by": "user:01981f5e-0000-7000-8000-000000000003",
}
_FILE: Final = {"type": "string", "format": "binary"}
_TEXT: Final = {"type": "string"}


def _form(required: list[str], **fields: Any) -> dict[str, Any]:
    """A form with the one file; its fields are texts, JSON where they are objects."""
    return {"type": "object", "required": [*required, "file"], "properties": {**fields, "file": _FILE}}


def _query(name: str, description: str, kind: type) -> OpenApiParameter:
    return OpenApiParameter(name, kind, OpenApiParameter.QUERY, description=description)


_BESIDE: Final = {"content_type": _TEXT, "sha256": _TEXT}
_NEW_FORM: Final = _form(["type", "label"], type=_TEXT, label=_TEXT, metadata=_TEXT, project_id=_TEXT, **_BESIDE)

LIST: Final[Operation] = {"responses": AssetRow(many=True), "examples": [given(_ROW)]}
CREATE: Final[Operation] = {
    "request": {"application/json": NewAssetBody, "multipart/form-data": _NEW_FORM},
    "responses": {201: AssetShown},
    "examples": [asked(_ASKED), given(_SHOWN, "201")],
}
RETRIEVE: Final[Operation] = {"responses": AssetShown, "examples": [given(_SHOWN)]}
PATCH: Final[Operation] = {
    "request": {
        "application/json": AssetBody,
        "multipart/form-data": _form([], label=_TEXT, metadata=_TEXT, **_BESIDE),
    },
    "responses": AssetShown,
    "examples": [asked({"label": "Summary"}), given({**_SHOWN, "label": "Summary"})],
}
DESTROY: Final[Operation] = {"responses": {204: None}}
RENDER: Final[Operation] = {
    "request": RenderBody,
    "responses": RenderedShown,
    "examples": [
        asked({"variables": {"customer": "Ada", "words": 50}}),
        given({"text": "Summarise the order of Ada in 50 words.", "variables": ["customer", "words"], "version": 1}),
    ],
}
_BINARY: Final = OpenApiResponse({"type": "string", "format": "binary"}, description="The content.")
DOWNLOAD: Final[Operation] = {
    "parameters": [
        _query("version", "The newest by default.", int),
        OpenApiParameter("Range", str, OpenApiParameter.HEADER, description="One range of bytes (RFC 9110, 14.2)."),
        OpenApiParameter("If-Range", str, OpenApiParameter.HEADER, description="The tag that the range is of."),
        OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description="304 if it is this content."),
    ],
    "responses": {
        (200, "*/*"): _BINARY,
        (206, "*/*"): OpenApiResponse(_FILE, description="The part that `Range` asks for."),
        304: OpenApiResponse(description="The client has it."),
    },
}
UPLOAD: Final[Operation] = {
    "request": {"application/json": ContentBody, "multipart/form-data": _form([], **_BESIDE)},
    "responses": {201: AssetShown, 200: OpenApiResponse(AssetShown, description="It is the content already.")},
    "examples": [
        asked({"content": "Summarise {{ text }}."}),
        given({**_SHOWN, "version": 2}, "201"),
        given(_SHOWN),
    ],
}
REPLACE: Final[Operation] = {
    "parameters": [_query("sha256", "Of the content, in hexadecimal: 422 if other bytes have come.", str)],
    "request": {"application/octet-stream": _FILE, "multipart/form-data": _form([], **_BESIDE)},
    "responses": AssetShown,
    "examples": [given({**_SHOWN, "version": 2})],
}
VERSIONS: Final[Operation] = {"responses": AssetVersionShown(many=True), "examples": [given(_VERSION)]}
