"""What clients send, checked; what they get, for the OpenAPI document."""

from datetime import datetime, timedelta
from typing import Any, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from flowforge.api.serializers import StrictSerializer
from flowforge.core import clock
from flowforge.kernel import durations
from flowforge.operating.bodies import FreezeShown
from flowforge.projects.constants import ROLES, SCOPES
from flowforge.projects.models import Project
from flowforge.projects.project_settings import MAX_ASSET_BYTES, MAX_RETENTION_DAYS, MAX_RUNS, RATE_BUCKETS
from flowforge.projects.services.keys import DEFAULT_OVERLAP, MAX_OVERLAP
from flowforge.projects.services.projects import Seat
from flowforge.steps.levels import LEVELS


class LoginBody(StrictSerializer):
    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=1024, trim_whitespace=False)


class RefreshBody(StrictSerializer):
    refresh = serializers.CharField(max_length=4096)


class PairShown(serializers.Serializer[Any]):
    access = serializers.CharField(help_text="Send it as `Authorization: Bearer …`; good for 15 minutes.")
    refresh = serializers.CharField(help_text="Good for 7 days and for one refresh.")


class PlaceShown(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    status = serializers.ChoiceField(choices=Project.Status.choices)
    role = serializers.ChoiceField(choices=ROLES, allow_null=True, help_text="Null for an API key.")
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=SCOPES))


class MeShown(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=["user", "key"])
    id = serializers.UUIDField()
    name = serializers.CharField()
    username = serializers.CharField(allow_null=True, help_text="Null for an API key.")
    is_staff = serializers.BooleanField()
    projects = PlaceShown(many=True)


SETTINGS_SCHEMA: Final = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "rate_limits": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                bucket: {"type": "string", "pattern": r"^0*[1-9][0-9]{0,8}/[smhd]$"} for bucket in RATE_BUCKETS
            },
            "description": "Calls per unit of time, such as `1000/m`.",
        },
        "max_concurrent_runs": {
            "type": "integer",
            "minimum": 1,
            "maximum": MAX_RUNS,
            "description": "Waiting and paused runs don't count.",
        },
        "max_asset_bytes": {
            "type": "integer",
            "minimum": 0,
            "maximum": MAX_ASSET_BYTES,
            "description": "What all versions of its assets may have together; absent: what the operator says.",
        },
        "retention_days": {"type": "integer", "minimum": 1, "maximum": MAX_RETENTION_DAYS},
        "allowed_step_types": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Absent: all but those that start processes.",
        },
        "isolation": {
            "anyOf": [
                {"type": "string", "enum": list(LEVELS)},
                {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {"minimum": {"type": "string", "enum": list(LEVELS)}, "network": {"type": "boolean"}},
                },
            ],
            "description": "The weakest isolation that will do for steps that start processes, and whether these "
            "reach the network. A worker that has less fails them with `isolation_unavailable`.",
        },
        "run_cost_saving": {"type": "number", "minimum": 0, "description": "Money saved per completed run."},
        "variables": {"type": "object", "description": "Plain values for expressions."},
        "feature_flags": {"type": "object"},
    },
}


@extend_schema_field(SETTINGS_SCHEMA)
class SettingsField(serializers.DictField):
    """Any object here: what may stand in it is for `flowforge.projects.project_settings` to say."""


class SeatBody(StrictSerializer):
    user = serializers.CharField(max_length=150, help_text="Username or id.")
    role = serializers.ChoiceField(choices=ROLES)

    def to_internal_value(self, data: Any) -> Seat:
        return Seat(**super().to_internal_value(data))


class NewProjectBody(StrictSerializer):
    name = serializers.CharField(max_length=200)
    settings = SettingsField(required=False)
    team = SeatBody(many=True, required=False)


class ProjectBody(NewProjectBody):
    status = serializers.ChoiceField(choices=Project.Status.choices, required=False)


class SeatShown(serializers.Serializer[Any]):
    user = serializers.CharField()
    role = serializers.ChoiceField(choices=ROLES)


class ProjectShown(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    status = serializers.ChoiceField(choices=Project.Status.choices)
    team = SeatShown(many=True)
    settings = SettingsField()
    freeze = FreezeShown(allow_null=True, help_text="While no run and no step of it begins.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class NewApiKeyBody(StrictSerializer):
    name = serializers.CharField(max_length=200)
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=SCOPES), allow_empty=False)
    project_id = serializers.UUIDField(required=False, help_text="The caller's only project, if absent.")
    expires_at = serializers.DateTimeField(required=False, allow_null=True)

    def validate_expires_at(self, value: datetime | None) -> datetime | None:
        if value is not None and value <= clock.now():
            raise serializers.ValidationError("This moment is past.", code="in_the_past")
        return value


@extend_schema_field({"type": ["string", "number"], "default": "24h"})
class OverlapField(serializers.Field[timedelta, Any, str, Any]):
    """A duration such as `24h` or a number of seconds, at most 7 days."""

    def to_internal_value(self, data: Any) -> timedelta:
        try:
            overlap = timedelta(seconds=durations.parse(data))
        except ValueError as error:
            raise serializers.ValidationError(str(error), code="invalid_duration") from error
        if overlap > MAX_OVERLAP:
            raise serializers.ValidationError("At most 7 days.", code="out_of_range")
        return overlap

    def to_representation(self, value: timedelta) -> str:
        return durations.format(value.total_seconds())


class RotationBody(StrictSerializer):
    overlap = OverlapField(default=DEFAULT_OVERLAP, help_text="How long the old key goes on: `0s` to `7d`.")


class ApiKeyShown(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    project_id = serializers.UUIDField()
    name = serializers.CharField()
    prefix = serializers.CharField(help_text="How the key begins.")
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=SCOPES))
    expires_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True, help_text="To the minute.")
    created_at = serializers.DateTimeField()
    revoked_at = serializers.DateTimeField(allow_null=True)


class NewApiKeyShown(ApiKeyShown):
    key = serializers.CharField(help_text="The key itself: shown here and never again.")
