"""What the OpenAPI document says of each operation beside the docstring of its action."""

from typing import Any, Final

from drf_spectacular.utils import OpenApiExample

from flowforge.api.operations import Operation
from flowforge.operating.bodies import FREEZE_EXAMPLE, FROZEN_EXAMPLE, THAW_EXAMPLE, FreezeBody, ThawBody
from flowforge.projects.api.serializers import (
    ApiKeyShown,
    LoginBody,
    MeShown,
    NewApiKeyBody,
    NewApiKeyShown,
    NewProjectBody,
    PairShown,
    ProjectBody,
    ProjectShown,
    RefreshBody,
    RotationBody,
)

_KEY_ID = "01981f5e-2a4b-7c3d-8e9f-0a1b2c3d4e5f"
_PROJECT_ID = "01981f5e-0000-7000-8000-000000000001"
_USER_ID = "01981f5e-0000-7000-8000-000000000003"
_AT = "2026-01-01T12:00:00.123456Z"
_SCOPES: Final = ["workflows:read", "runs:read", "runs:write"]
_TOKEN: Final = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0eXAi….…"  # noqa: S105  an example

_PAIR: Final = {"access": _TOKEN, "refresh": _TOKEN}
_ME: Final = {
    "kind": "user",
    "id": _USER_ID,
    "name": "ann",
    "username": "ann",
    "is_staff": False,
    "projects": [{"id": _PROJECT_ID, "name": "Demo", "status": "active", "role": "operator", "scopes": _SCOPES}],
}
_SETTINGS: Final = {"rate_limits": {"runs": "100/m"}, "max_concurrent_runs": 20, "variables": {"region": "eu"}}
_TEAM: Final = [{"user": "ann", "role": "owner"}, {"user": "ben", "role": "editor"}]
_PROJECT: Final = {
    "id": _PROJECT_ID,
    "name": "Demo",
    "status": "active",
    "team": _TEAM,
    "settings": _SETTINGS,
    "freeze": None,
    "created_at": _AT,
    "updated_at": _AT,
}
_KEY: Final = {
    "id": _KEY_ID,
    "project_id": _PROJECT_ID,
    "name": "nightly import",
    "prefix": "ffk_q3xVbT0a",
    "scopes": _SCOPES,
    "expires_at": None,
    "last_used_at": None,
    "created_at": _AT,
    "revoked_at": None,
}
_NEW_KEY: Final = {**_KEY, "key": "ffk_q3xVbT0a…"}


def _sent(name: str, value: Any) -> OpenApiExample:
    return OpenApiExample(name, value=value, request_only=True)


def _got(name: str, value: Any, status: str = "200") -> OpenApiExample:
    return OpenApiExample(name, value=value, response_only=True, status_codes=[status])


LOGIN: Final[Operation] = {
    "request": LoginBody,
    "responses": PairShown,
    "examples": [_sent("a login", {"username": "ann", "password": "…"}), _got("a pair", _PAIR)],
}
REFRESH: Final[Operation] = {
    "request": RefreshBody,
    "responses": PairShown,
    "examples": [_sent("a refresh", {"refresh": _TOKEN}), _got("a pair", _PAIR)],
}
REVOKE: Final[Operation] = {
    "request": RefreshBody,
    "responses": {204: None},
    "examples": [_sent("a logout", {"refresh": _TOKEN})],
}
ME: Final[Operation] = {"responses": MeShown, "examples": [_got("a person", _ME)]}

PROJECTS: Final[Operation] = {"responses": ProjectShown(many=True), "examples": [_got("projects", _PROJECT)]}
PROJECT: Final[Operation] = {"responses": ProjectShown, "examples": [_got("a project", _PROJECT)]}
NEW_PROJECT: Final[Operation] = {
    "request": NewProjectBody,
    "responses": {201: ProjectShown},
    "examples": [
        _sent("a project", {"name": "Demo", "settings": _SETTINGS, "team": _TEAM[1:]}),
        _got("a project", _PROJECT, "201"),
    ],
}
CHANGE_PROJECT: Final[Operation] = {
    "request": ProjectBody,
    "responses": ProjectShown,
    "examples": [
        _sent("a setting less, one more", {"settings": {"retention_days": None, "max_concurrent_runs": 20}}),
        _sent("a team", {"team": _TEAM}),
        _got("a project", _PROJECT),
    ],
}
ARCHIVE_PROJECT: Final[Operation] = {"responses": {204: None}}
FREEZE_PROJECT: Final[Operation] = {
    "request": FreezeBody,
    "responses": ProjectShown,
    "examples": [_sent("until the afternoon", FREEZE_EXAMPLE), _got("frozen", {**_PROJECT, "freeze": FROZEN_EXAMPLE})],
}
THAW_PROJECT: Final[Operation] = {
    "request": ThawBody,
    "responses": ProjectShown,
    "examples": [
        _sent("ten a minute", THAW_EXAMPLE),
        _got("thawing", {**_PROJECT, "freeze": {**FROZEN_EXAMPLE, "status": "thawing", "until": None, "rate": "10/m"}}),
    ],
}

KEYS: Final[Operation] = {"responses": ApiKeyShown(many=True), "examples": [_got("keys", _KEY)]}
KEY: Final[Operation] = {"responses": ApiKeyShown, "examples": [_got("a key", _KEY)]}
NEW_KEY: Final[Operation] = {
    "request": NewApiKeyBody,
    "responses": {201: NewApiKeyShown},
    "examples": [
        _sent("a key", {"name": "nightly import", "scopes": _SCOPES, "expires_at": "2027-01-01T00:00:00Z"}),
        _got("a key", _NEW_KEY, "201"),
    ],
}
REVOKE_KEY: Final[Operation] = {"responses": {204: None}}
ROTATE_KEY: Final[Operation] = {
    "request": RotationBody,
    "responses": {201: NewApiKeyShown},
    "examples": [_sent("an hour for both", {"overlap": "1h"}), _got("the successor", _NEW_KEY, "201")],
}
