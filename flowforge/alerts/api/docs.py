"""What the OpenAPI document says of each operation beside the docstring of its action."""

from typing import Any, Final

from drf_spectacular.utils import OpenApiExample

from flowforge.alerts.api.serializers import AlertBody, AlertShown, NewAlertBody

Operation = dict[str, Any]

_AT: Final = "2026-01-01T12:00:00.123456Z"
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
    "created_at": _AT,
    "updated_at": _AT,
}


def _asked(value: Any) -> OpenApiExample:
    return OpenApiExample("Request", value=value, request_only=True)


def _given(value: Any, status: str = "200") -> OpenApiExample:
    """Of a list, the value of one item."""
    return OpenApiExample("Answer", value=value, response_only=True, status_codes=[status])


LIST: Final[Operation] = {"responses": AlertShown(many=True), "examples": [_given(_SHOWN)]}
CREATE: Final[Operation] = {
    "request": NewAlertBody,
    "responses": {201: AlertShown},
    "examples": [_asked(_ASKED), _given({**_SHOWN, "value": None}, "201")],
}
RETRIEVE: Final[Operation] = {"responses": AlertShown, "examples": [_given(_SHOWN)]}
PATCH: Final[Operation] = {
    "request": AlertBody,
    "responses": AlertShown,
    "examples": [_asked({"threshold": 0.5}), _given({**_SHOWN, "threshold": 0.5})],
}
DESTROY: Final[Operation] = {"responses": {204: None}}
