"""What the OpenAPI document says of each operation beside the docstring of its action."""

from typing import Any, Final

from drf_spectacular.utils import OpenApiExample

from flowforge.credentials.api.serializers import CredentialBody, CredentialShown, NewCredentialBody

Operation = dict[str, Any]

_AT: Final = "2026-01-01T12:00:00.123456Z"
_ASKED: Final[dict[str, Any]] = {
    "name": "orders_api",
    "type": "token",
    "data": {"token": "the token itself"},
    "hosts": ["api.example.com", "*.example.org"],
    "expires_at": "2027-01-01T00:00:00Z",
}
_SHOWN: Final[dict[str, Any]] = {
    "id": "01981f5e-0000-7000-8000-000000000006",
    "project_id": "01981f5e-0000-7000-8000-000000000001",
    "name": "orders_api",
    "type": "token",
    "hosts": ["api.example.com", "*.example.org"],
    "expires_at": "2027-01-01T00:00:00.000000Z",
    "last_used_at": None,
    "created_at": _AT,
    "updated_at": _AT,
}


def _asked(value: Any) -> OpenApiExample:
    return OpenApiExample("Request", value=value, request_only=True)


def _given(value: Any, status: str = "200") -> OpenApiExample:
    """Of a list, the value of one item."""
    return OpenApiExample("Answer", value=value, response_only=True, status_codes=[status])


LIST: Final[Operation] = {"responses": CredentialShown(many=True), "examples": [_given(_SHOWN)]}
CREATE: Final[Operation] = {
    "request": NewCredentialBody,
    "responses": {201: CredentialShown},
    "examples": [_asked(_ASKED), _given(_SHOWN, "201")],
}
RETRIEVE: Final[Operation] = {"responses": CredentialShown, "examples": [_given(_SHOWN)]}
PATCH: Final[Operation] = {
    "request": CredentialBody,
    "responses": CredentialShown,
    "examples": [_asked({"data": {"token": "the next token"}}), _given(_SHOWN)],
}
DESTROY: Final[Operation] = {"responses": {204: None}}
