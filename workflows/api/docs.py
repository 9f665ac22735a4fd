"""What the OpenAPI document says of each operation of this app."""

from typing import Any, Final

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

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

Operation = dict[str, Any]

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


def _asked(value: Any, name: str = "Request") -> OpenApiExample:
    return OpenApiExample(name, value=value, request_only=True)


def _given(value: Any, name: str = "Answer", status: str = "200") -> OpenApiExample:
    return OpenApiExample(name, value=value, response_only=True, status_codes=[status])


def _query(name: str, description: str, **more: Any) -> OpenApiParameter:
    return OpenApiParameter(name, description=description, required=False, **more)


def _text(description: str, *media_types: str) -> dict[tuple[int, str], OpenApiResponse]:
    return {(200, media_type): OpenApiResponse(str, description=description) for media_type in media_types}


LIST: Final[Operation] = {
    "operation_id": "workflows_list",
    "summary": "List workflows",
    "description": "Newest first. Leaves the definition out unless `expand=definition`.",
    "parameters": [_query("expand", "`definition`: with the current version's definition.", enum=["definition"])],
    "responses": WorkflowRowShown(many=True),
    "examples": [_given([_ROW])],
}
CREATE: Final[Operation] = {
    "operation_id": "workflows_create",
    "summary": "Create a workflow",
    "description": (
        "At version 1. The definition is written in one of three forms: its fields at the top, as `definition`, or as "
        "FlowCtl's `tasks` with `dependencies`. Everything that is wrong with it is named by JSON pointer, at once."
    ),
    "request": NewWorkflowBody,
    "responses": {201: WorkflowShown},
    "examples": [_asked({"name": "Daily import", **_DEFINITION}), _given(_WHOLE, status="201")],
}
RETRIEVE: Final[Operation] = {
    "operation_id": "workflows_retrieve",
    "summary": "Read a workflow",
    "description": "With the definition of its current version and the newest run.",
    "responses": WorkflowShown,
    "examples": [_given(_WHOLE)],
}
UPDATE: Final[Operation] = {
    "operation_id": "workflows_update",
    "summary": "Replace a workflow",
    "description": "What the body leaves out takes its default. A changed definition becomes a new version.",
    "request": WorkflowBody,
    "responses": WorkflowShown,
    "examples": [_asked({"name": "Daily import", **_DEFINITION}), _given(_WHOLE)],
}
PATCH: Final[Operation] = {
    "operation_id": "workflows_partial_update",
    "summary": "Change a workflow",
    "description": (
        "What the body leaves out stays; each part of the definition that it gives (`nodes`, say) is replaced whole. "
        "A changed definition becomes a new version; runs keep theirs. `status` pauses, archives and brings back."
    ),
    "request": WorkflowBody,
    "responses": WorkflowShown,
    "examples": [_asked({"status": "paused"}), _given({**_WHOLE, "status": "paused"})],
}
DESTROY: Final[Operation] = {
    "operation_id": "workflows_destroy",
    "summary": "Archive a workflow",
    "description": "It takes no new runs; its history stays. 409 while runs are live, unless `force=true`.",
    "parameters": [_query("force", "Cancel the live runs instead of refusing.", type=bool)],
    "responses": {204: OpenApiResponse(description="Archived.")},
    "examples": [],
}
DUPLICATE: Final[Operation] = {
    "operation_id": "workflows_duplicate",
    "summary": "Copy a workflow",
    "description": "The current version becomes version 1 of a new, active workflow, in this or another project.",
    "request": DuplicateBody,
    "responses": {201: WorkflowShown},
    "examples": [
        _asked({"name": "Daily import, north"}),
        _given({**_WHOLE, "name": "Daily import, north", "version": 1}, status="201"),
    ],
}
ROLLBACK: Final[Operation] = {
    "operation_id": "workflows_rollback",
    "summary": "Go back to a version",
    "description": "Its definition becomes the current one, as a new version; where it is already, nothing changes.",
    "request": RollbackBody,
    "responses": WorkflowShown,
    "examples": [_asked({"version": 2}), _given({**_WHOLE, "version": 4})],
}
VERSIONS: Final[Operation] = {
    "operation_id": "workflows_versions_list",
    "summary": "List a workflow's versions",
    "description": "Newest first, without their definitions.",
    "responses": VersionRowShown(many=True),
    "examples": [_given([_VERSION])],
}
VERSION: Final[Operation] = {
    "operation_id": "workflows_versions_retrieve",
    "summary": "Read a version",
    "description": (
        "With its definition; with `diff=true` also the way from it to the current one: nodes (by id) and edges (by "
        "their ends) added, removed and changed, and operations after RFC 6902 that tell old and new values."
    ),
    "parameters": [_query("diff", "Compare with the current version.", type=bool)],
    "responses": VersionShown,
    "examples": [_given({**_VERSION, "definition": _DEFINITION})],
}
GRAPH: Final[Operation] = {
    "operation_id": "workflows_graph",
    "summary": "Draw a workflow",
    "description": (
        "As SVG, as Mermaid text, or as JSON with places and sizes. With `run_id`, that run's version, coloured by the "
        "state of its steps."
    ),
    "parameters": [
        _query("format", "What to draw.", enum=["svg", "mermaid", "json"]),
        _query("run_id", "A run of this workflow.", type={"type": "string", "format": "uuid"}),
    ],
    "responses": {(200, "application/json"): dict, **_text("The picture.", "image/svg+xml", "text/plain")},
    "examples": [_given({"nodes": [], "edges": []})],
}
EXPORT: Final[Operation] = {
    "operation_id": "workflows_export",
    "summary": "Export a workflow",
    "description": "As a file to keep under version control: the same workflow gives the same text. Import reads it.",
    "parameters": [_query("format", "Of the file.", enum=["yaml", "json"])],
    "responses": {(200, "application/json"): dict, **_text("The file.", "application/yaml")},
    "examples": [_given({"name": "Daily import", "tags": [], "status": "active", "definition": _DEFINITION})],
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
    "summary": "Import workflows",
    "description": (
        'Creates or updates workflows by their names, all of them or none. Takes `{"definitions": […]}`, one exported '
        "workflow, or a list of such, as JSON, as YAML or as an uploaded `file`. The same file again changes nothing."
    ),
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
        _given([{"id": _ID, "name": "Daily import", "action": "created", "version": 1}]),
    ],
}
VALIDATE: Final[Operation] = {
    "operation_id": "workflows_validate_new",
    "summary": "Check a definition",
    "description": "Says everything that is wrong with it by JSON pointer; stores nothing.",
    "request": ValidateBody,
    "responses": VerdictShown,
    "examples": [_asked({"nodes": [{"id": "fetch", "type": "htp"}], "edges": []}), _given(_VERDICT)],
}
VALIDATE_SAVED: Final[Operation] = {
    "operation_id": "workflows_validate",
    "summary": "Check a workflow, or a change to it",
    "description": "The parts of a definition in the body over the stored ones, as PATCH would; stores nothing.",
    "request": DefinitionBody,
    "responses": VerdictShown,
    "examples": [_asked({"nodes": [{"id": "fetch", "type": "htp"}]}), _given(_VERDICT)],
}
STEP_TYPES: Final[Operation] = {
    "operation_id": "step_types_list",
    "summary": "List step types",
    "description": "With the JSON Schemas of their config and output, so that an editor can draw forms.",
    "parameters": [_query("project_id", "Whose `allowed_step_types` hold.")],
    "responses": StepTypeShown(many=True),
    "examples": [
        _given(
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
