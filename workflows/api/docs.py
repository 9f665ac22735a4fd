"""What the OpenAPI document says of each operation beside the docstring of its action."""

from typing import Any, Final

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from flowforge.api.operations import Operation, asked, given
from flowforge.operating.bodies import FREEZE_EXAMPLE, FROZEN_EXAMPLE, THAW_EXAMPLE, FreezeBody, ThawBody
from workflows.api.serializers import (
    DefinitionBody,
    DuplicateBody,
    ImportedShown,
    NewWorkflowBody,
    RollbackBody,
    StepTypeShown,
    ValidateBody,
    VerdictShown,
    VersionRowShown,
    VersionShown,
    WorkflowBody,
    WorkflowRowShown,
    WorkflowShown,
)

_IF_MATCH = "Go on only if this is still the workflow's `ETag` (412)."
_ID = "01981f5e-2a4b-7c3d-8e9f-0a1b2c3d4e5f"
_PROJECT = "01981f5e-0000-7000-8000-000000000001"
_AT = "2026-01-01T12:00:00.123456Z"

_DEFINITION: Final = {
    "nodes": [
        {"id": "fetch", "type": "http", "config": {"method": "GET", "url": "https://example.com/{{ inputs.day }}"}},
        {"id": "count", "type": "transform", "config": {"values": {"rows": "{{ steps.fetch.output.json | length }}"}}},
    ],
    "edges": [{"source": "fetch", "target": "count"}],
    "config": {"timeout": "1h"},
    "input_schema": {"type": "object", "required": ["day"], "properties": {"day": {"type": "string"}}},
    "output": {"rows": "{{ steps.count.output.rows }}"},
}
_ROW: Final = {
    "id": _ID,
    "project_id": _PROJECT,
    "name": "Daily import",
    "description": "",
    "status": "active",
    "version": 3,
    "tags": ["finance"],
    "created_at": _AT,
    "updated_at": _AT,
    "last_run_id": None,
    "last_run_status": None,
    "freeze": None,
    "output": _DEFINITION["output"],
}
_WHOLE: Final = {**_ROW, **_DEFINITION}
_VERSION: Final = {
    "id": _ID,
    "workflow_id": _ID,
    "version": 2,
    "current": False,
    "definition_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "created_by": None,
    "created_at": _AT,
}
_VERDICT: Final = {
    "valid": False,
    "errors": [{"pointer": "/nodes/0/type", "code": "unknown_type", "detail": "There is no step type 'htp'."}],
    "warnings": [],
}


def _query(name: str, description: str, **more: Any) -> OpenApiParameter:
    return OpenApiParameter(name, description=description, required=False, **more)


def _text(description: str, *media_types: str) -> dict[tuple[int, str], OpenApiResponse]:
    return {(200, media_type): OpenApiResponse(str, description=description) for media_type in media_types}


LIST: Final[Operation] = {
    "parameters": [_query("expand", "`definition`: with the current version's definition.", enum=["definition"])],
    "responses": WorkflowRowShown(many=True),
    "examples": [given([_ROW])],
}
CREATE: Final[Operation] = {
    "request": NewWorkflowBody,
    "responses": {201: WorkflowShown},
    "examples": [asked({"name": "Daily import", **_DEFINITION}), given(_WHOLE, status="201")],
}
RETRIEVE: Final[Operation] = {
    "responses": WorkflowShown,
    "examples": [given(_WHOLE)],
}
UPDATE: Final[Operation] = {
    "request": WorkflowBody,
    "responses": WorkflowShown,
    "examples": [asked({"name": "Daily import", **_DEFINITION}), given(_WHOLE)],
}
PATCH: Final[Operation] = {
    "request": WorkflowBody,
    "responses": WorkflowShown,
    "examples": [asked({"status": "paused"}), given({**_WHOLE, "status": "paused"})],
}
DESTROY: Final[Operation] = {
    "parameters": [_query("force", "Cancel the live runs instead of refusing.", type=bool)],
    "responses": {204: OpenApiResponse(description="Archived.")},
    "examples": [],
}
DUPLICATE: Final[Operation] = {
    "request": DuplicateBody,
    "responses": {201: WorkflowShown},
    "examples": [
        asked({"name": "Daily import, north"}),
        given({**_WHOLE, "name": "Daily import, north", "version": 1}, status="201"),
    ],
}
ROLLBACK: Final[Operation] = {
    "parameters": [OpenApiParameter("If-Match", str, OpenApiParameter.HEADER, description=_IF_MATCH)],
    "request": RollbackBody,
    "responses": WorkflowShown,
    "examples": [asked({"version": 2}), given({**_WHOLE, "version": 4})],
}
FREEZE: Final[Operation] = {
    "operation_id": "workflows_freeze",
    "request": FreezeBody,
    "responses": WorkflowShown,
    "examples": [asked(FREEZE_EXAMPLE), given({**_WHOLE, "freeze": FROZEN_EXAMPLE})],
}
THAW: Final[Operation] = {
    "operation_id": "workflows_thaw",
    "request": ThawBody,
    "responses": WorkflowShown,
    "examples": [
        asked(THAW_EXAMPLE),
        given({**_WHOLE, "freeze": {**FROZEN_EXAMPLE, "status": "thawing", "until": None, "rate": "10/m"}}),
    ],
}
VERSIONS: Final[Operation] = {
    "responses": VersionRowShown(many=True),
    "examples": [given([_VERSION])],
}
VERSION: Final[Operation] = {
    "parameters": [_query("diff", "Compare with the current version.", type=bool)],
    "responses": VersionShown,
    "examples": [given({**_VERSION, "definition": _DEFINITION})],
}
GRAPH: Final[Operation] = {
    "parameters": [
        _query("format", "What to draw.", enum=["svg", "mermaid", "json"]),
        _query("run_id", "A run of this workflow.", type={"type": "string", "format": "uuid"}),
    ],
    "responses": {(200, "application/json"): dict, **_text("The picture.", "image/svg+xml", "text/plain")},
    "examples": [given({"nodes": [], "edges": []})],
}
_FILE_TYPES: Final = ("application/json", "application/yaml")
EXPORT: Final[Operation] = {
    "parameters": [_query("format", "Of the file.", enum=["yaml", "json"])],
    "responses": {(200, kind): OpenApiResponse(dict, description="The file.") for kind in _FILE_TYPES},
    "examples": [given({"name": "Daily import", "tags": [], "status": "active", "definition": _DEFINITION})],
}
_IMPORT_BODY: Final = {
    "type": "object",
    "required": ["definitions"],
    "properties": {
        "definitions": {"type": "array", "items": {"type": "object", "additionalProperties": True}},
        "project_id": {"type": "string", "format": "uuid"},
    },
}
_UPLOAD: Final = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": {"type": "string", "format": "binary"}},
}
IMPORT: Final[Operation] = {
    "operation_id": "workflows_import",
    "parameters": [_query("project_id", "Where to; needed where the caller has several projects.")],
    "request": {"application/json": _IMPORT_BODY, "application/yaml": _IMPORT_BODY, "multipart/form-data": _UPLOAD},
    "responses": ImportedShown(many=True),
    "examples": [
        OpenApiExample(
            "Request",
            value={"definitions": [{"name": "Daily import", "definition": _DEFINITION}]},
            request_only=True,
            media_type="application/json",
        ),
        given([{"id": _ID, "name": "Daily import", "action": "created", "version": 1}]),
    ],
}
VALIDATE: Final[Operation] = {
    "request": ValidateBody,
    "responses": VerdictShown,
    "examples": [asked({"nodes": [{"id": "fetch", "type": "htp"}], "edges": []}), given(_VERDICT)],
}
VALIDATE_SAVED: Final[Operation] = {
    "request": DefinitionBody,
    "responses": VerdictShown,
    "examples": [asked({"nodes": [{"id": "fetch", "type": "htp"}]}), given(_VERDICT)],
}
STEP_TYPES: Final[Operation] = {
    "parameters": [_query("project_id", "Whose `allowed_step_types` hold.")],
    "responses": StepTypeShown(many=True),
    "examples": [
        given(
            [
                {
                    "name": "transform",
                    "title": "Transform",
                    "description": "Makes values of values.",
                    "kind": "pure",
                    "config_schema": {"type": "object"},
                    "output_schema": {"type": "object"},
                    "allowed": True,
                }
            ]
        )
    ],
}
