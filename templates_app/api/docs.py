"""What the OpenAPI document says of each operation beside the docstring of its action."""

from typing import Any, Final

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from templates_app.api.serializers import (
    NewTemplateBody,
    RenderedStepShown,
    RenderTemplateBody,
    TemplateBody,
    TemplateShown,
    TemplateVersionShown,
)

Operation = dict[str, Any]

_ID: Final = "01981f5e-0000-7000-8000-000000000009"
_AT: Final = "2026-01-01T12:00:00.123456Z"
_CONTENT: Final[dict[str, Any]] = {
    "step_type": "http",
    "config": {
        "method": "GET",
        "url": "https://shop.example/orders/{{ parameters.day }}",
        "query": {"limit": "{{ parameters.limit }}"},
    },
    "parameters": {
        "type": "object",
        "required": ["day"],
        "properties": {"day": {"type": "string"}, "limit": {"type": "integer", "default": 100}},
    },
    "retry": {"max_attempts": 5},
    "timeout": "30s",
}
_ASKED: Final[dict[str, Any]] = {"name": "Fetch orders", "description": "All orders of a day.", **_CONTENT}
_SHOWN: Final[dict[str, Any]] = {
    "id": _ID,
    "project_id": "01981f5e-0000-7000-8000-000000000001",
    **_ASKED,
    "version": 1,
    "archived": False,
    "created_at": _AT,
    "updated_at": _AT,
}
_VERSION: Final[dict[str, Any]] = {
    "id": "01981f5e-0000-7000-8000-00000000000a",
    "template_id": _ID,
    "version": 1,
    "current": True,
    **_CONTENT,
    "created_by": None,
    "created_at": _AT,
}
_RENDERED: Final[dict[str, Any]] = {
    "type": "http",
    "config": {"method": "GET", "url": "https://shop.example/orders/{{ inputs.day }}", "query": {"limit": 100}},
    "retry": {"max_attempts": 5},
    "timeout": "30s",
    "template_id": _ID,
    "template_version": 1,
    "parameters": {"day": "{{ inputs.day }}", "limit": 100},
}


def _asked(value: Any) -> OpenApiExample:
    return OpenApiExample("Request", value=value, request_only=True)


def _given(value: Any, status: str = "200") -> OpenApiExample:
    """Of a list, the value of one item."""
    return OpenApiExample("Answer", value=value, response_only=True, status_codes=[status])


LIST: Final[Operation] = {"responses": TemplateShown(many=True), "examples": [_given(_SHOWN)]}
CREATE: Final[Operation] = {
    "request": NewTemplateBody,
    "responses": {201: TemplateShown},
    "examples": [_asked(_ASKED), _given(_SHOWN, "201")],
}
RETRIEVE: Final[Operation] = {"responses": TemplateShown, "examples": [_given(_SHOWN)]}
PATCH: Final[Operation] = {
    "request": TemplateBody,
    "responses": TemplateShown,
    "examples": [_asked({"timeout": "1m"}), _given({**_SHOWN, "timeout": "1m", "version": 2})],
}
DESTROY: Final[Operation] = {
    "parameters": [OpenApiParameter("force", bool, description="Archive it although workflows use it.")],
    "responses": {204: OpenApiResponse(description="Archived.")},
    "examples": [],
}
RENDER: Final[Operation] = {
    "operation_id": "templates_render",
    "request": RenderTemplateBody,
    "responses": RenderedStepShown,
    "examples": [_asked({"parameters": {"day": "{{ inputs.day }}"}}), _given(_RENDERED)],
}
VERSIONS: Final[Operation] = {"responses": TemplateVersionShown(many=True), "examples": [_given(_VERSION)]}
VERSION: Final[Operation] = {"responses": TemplateVersionShown, "examples": [_given(_VERSION)]}
