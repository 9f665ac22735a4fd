"""What the OpenAPI document says of each operation beside the docstring of its action."""

from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from flowforge.api.operations import AT, Operation, asked, given
from templates_app.api.serializers import (
    NewTemplateBody,
    RenderedStepShown,
    RenderTemplateBody,
    TemplateBody,
    TemplateShown,
    TemplateVersionShown,
)

_ID: Final = "01981f5e-0000-7000-8000-000000000009"
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
    "created_at": AT,
    "updated_at": AT,
}
_VERSION: Final[dict[str, Any]] = {
    "id": "01981f5e-0000-7000-8000-00000000000a",
    "template_id": _ID,
    "version": 1,
    "current": True,
    **_CONTENT,
    "created_by": None,
    "created_at": AT,
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


LIST: Final[Operation] = {"responses": TemplateShown(many=True), "examples": [given(_SHOWN)]}
CREATE: Final[Operation] = {
    "request": NewTemplateBody,
    "responses": {201: TemplateShown},
    "examples": [asked(_ASKED), given(_SHOWN, "201")],
}
RETRIEVE: Final[Operation] = {"responses": TemplateShown, "examples": [given(_SHOWN)]}
PATCH: Final[Operation] = {
    "request": TemplateBody,
    "responses": TemplateShown,
    "examples": [asked({"timeout": "1m"}), given({**_SHOWN, "timeout": "1m", "version": 2})],
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
    "examples": [asked({"parameters": {"day": "{{ inputs.day }}"}}), given(_RENDERED)],
}
VERSIONS: Final[Operation] = {"responses": TemplateVersionShown(many=True), "examples": [given(_VERSION)]}
VERSION: Final[Operation] = {"responses": TemplateVersionShown, "examples": [given(_VERSION)]}
