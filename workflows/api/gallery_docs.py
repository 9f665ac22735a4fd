"""What the OpenAPI document says of the gallery's operations beside the docstrings of the actions."""

from typing import Final

from drf_spectacular.utils import OpenApiExample, OpenApiParameter

from flowforge.api.operations import Operation, given
from workflows.api.serializers import GalleryItemShown, GalleryRowShown, InstallBody, WorkflowShown

_ROW: Final = {
    "slug": "order-review",
    "title": "Order review with a deadline",
    "description": "Lets small orders pass and asks a person about large ones.",
    "tags": ["gallery", "people"],
    "step_types": ["approval", "condition", "emit", "transform"],
    "needs": [],
    "installs": [],
}
_DEFINITION: Final = {
    "nodes": [{"id": "large", "type": "condition", "config": {"expression": "{{ inputs.total > inputs.limit }}"}}],
    "edges": [],
    "config": {},
    "input_schema": {"type": "object", "properties": {"total": {"type": "number", "default": 1250}}},
    "output": None,
}
_WHOLE: Final = {
    **_ROW,
    "example": {"total": 80},
    "triggers": {"schedule": {"name": "hourly", "cron": "@hourly"}},
    "mermaid": 'flowchart TB\n  n0{"large"}\n',
    "definition": _DEFINITION,
}
_INSTALLED: Final = {
    "id": "01981f5e-2a4b-7c3d-8e9f-0a1b2c3d4e5f",
    "project_id": "01981f5e-0000-7000-8000-000000000001",
    "name": "Review of orders",
    "description": _ROW["description"],
    "status": "active",
    "version": 1,
    "tags": _ROW["tags"],
    "created_at": "2026-01-01T12:00:00.123456Z",
    "updated_at": "2026-01-01T12:00:00.123456Z",
    "last_run_id": None,
    "last_run_status": None,
    "freeze": None,
    **_DEFINITION,
}


LIST: Final[Operation] = {
    "parameters": [
        OpenApiParameter("tag", description="Those with this tag.", required=False),
        OpenApiParameter("step_type", description="Those that use this step type.", required=False),
    ],
    "responses": GalleryRowShown(many=True),
    "examples": [given([_ROW])],
}
RETRIEVE: Final[Operation] = {
    "operation_id": "gallery_retrieve",
    "responses": GalleryItemShown,
    "examples": [given(_WHOLE)],
}
INSTALL: Final[Operation] = {
    "operation_id": "gallery_install",
    "request": InstallBody,
    "responses": {201: WorkflowShown},
    "examples": [
        OpenApiExample("Request", value={"name": "Review of orders"}, request_only=True),
        given(_INSTALLED, "201"),
    ],
}
