"""What the OpenAPI document says of each operation beside the docstring of its action."""

from typing import Any, Final

from flowforge.alerts.api.serializers import AlertBody, AlertShown, NewAlertBody
from flowforge.api.operations import AT, Operation, asked, given

_ASKED: Final[dict[str, Any]] = {
    "workflow_id": "01981f5e-0000-7000-8000-000000000002",
    "name": "Imports fail",
    "metric": "failure_rate",
    "operator": "gt",
    "threshold": 0.2,
    "window": "1h",
    "severity": "critical",
}
_SHOWN: Final[dict[str, Any]] = {
    "id": "01981f5e-0000-7000-8000-000000000007",
    "project_id": "01981f5e-0000-7000-8000-000000000001",
    **_ASKED,
    "enabled": True,
    "state": "ok",
    "value": 0.05,
    "last_triggered_at": None,
    "error": None,
    "created_at": AT,
    "updated_at": AT,
}


LIST: Final[Operation] = {"responses": AlertShown(many=True), "examples": [given(_SHOWN)]}
CREATE: Final[Operation] = {
    "request": NewAlertBody,
    "responses": {201: AlertShown},
    "examples": [asked(_ASKED), given({**_SHOWN, "value": None}, "201")],
}
RETRIEVE: Final[Operation] = {"responses": AlertShown, "examples": [given(_SHOWN)]}
PATCH: Final[Operation] = {
    "request": AlertBody,
    "responses": AlertShown,
    "examples": [asked({"threshold": 0.5}), given({**_SHOWN, "threshold": 0.5})],
}
DESTROY: Final[Operation] = {"responses": {204: None}}
