"""What the OpenAPI document says of the operations upon the step templates of workflows."""

from typing import Any, Final

from drf_spectacular.utils import OpenApiExample, OpenApiParameter

from workflows.api.docs import ROLLBACK
from workflows.api.serializers import TemplateUseShown, UpgradeBody, WorkflowShown

_TEMPLATE: Final = "01981f5e-0000-7000-8000-000000000009"
_USE: Final[dict[str, Any]] = {
    "workflow_id": "01981f5e-2a4b-7c3d-8e9f-0a1b2c3d4e5f",
    "workflow_name": "Daily import",
    "workflow_status": "active",
    "workflow_version": 3,
    "template_version": 1,
    "outdated": True,
    "nodes": ["fetch"],
}

USAGE: Final[dict[str, Any]] = {
    "operation_id": "templates_usage",
    "parameters": [
        OpenApiParameter(
            "outdated", description="true: uses of older versions alone; false: of the newest.", enum=["true", "false"]
        )
    ],
    "responses": TemplateUseShown(many=True),
    "examples": [OpenApiExample("Answer", value=_USE, response_only=True, status_codes=["200"])],
}
UPGRADE: Final[dict[str, Any]] = {
    "operation_id": "workflows_upgrade_templates",
    "parameters": ROLLBACK["parameters"],
    "request": UpgradeBody,
    "responses": WorkflowShown,
    "examples": [
        OpenApiExample("Request", value={"template_id": _TEMPLATE}, request_only=True),
        *(example for example in ROLLBACK["examples"] if example.response_only),
    ],
}
