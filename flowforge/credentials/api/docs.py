"""What the OpenAPI document says of each operation beside the docstring of its action."""

from typing import Any, Final

from flowforge.api.operations import AT, Operation, asked, given
from flowforge.credentials.api.serializers import CredentialBody, CredentialShown, NewCredentialBody

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
    "created_at": AT,
    "updated_at": AT,
}


LIST: Final[Operation] = {"responses": CredentialShown(many=True), "examples": [given(_SHOWN)]}
CREATE: Final[Operation] = {
    "request": NewCredentialBody,
    "responses": {201: CredentialShown},
    "examples": [asked(_ASKED), given(_SHOWN, "201")],
}
RETRIEVE: Final[Operation] = {"responses": CredentialShown, "examples": [given(_SHOWN)]}
PATCH: Final[Operation] = {
    "request": CredentialBody,
    "responses": CredentialShown,
    "examples": [asked({"data": {"token": "the next token"}}), given(_SHOWN)],
}
DESTROY: Final[Operation] = {"responses": {204: None}}
