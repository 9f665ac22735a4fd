"""Bodies in, and the answer for the OpenAPI document. Credentials are shown by `credentials.present`."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from flowforge.api.serializers import StrictSerializer
from flowforge.credentials.constants import MAX_HOSTS, MAX_NAME_LENGTH, NAME, TYPES
from flowforge.steps.hosts import normalised


@extend_schema_field({"type": "object", "additionalProperties": {"type": ["string", "integer"]}, "writeOnly": True})
class DataField(serializers.Field[dict[str, Any], Any, Any, Any]):
    """What a credential holds: checked by its type."""

    default_error_messages = {"invalid": "An object is expected."}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("invalid")
        return data


@extend_schema_field({"type": "string", "examples": ["api.example.com", "*.example.com", "*", "10.0.0.5:8443"]})
class HostField(serializers.Field[str, Any, str, Any]):
    """A host pattern, in lower case."""

    default_error_messages = {
        "invalid": "A host is expected: api.example.com, *.example.com or *, with or without :port."
    }

    def to_internal_value(self, data: Any) -> str:
        found = normalised(data) if isinstance(data, str) else None
        if found is None:
            self.fail("invalid")
        return found


class CredentialBody(StrictSerializer):
    """What PATCH takes."""

    name = serializers.RegexField(
        rf"^{NAME.pattern}\Z",
        max_length=MAX_NAME_LENGTH,
        help_text="Unique in the project; read in expressions as `credentials.<name>`.",
    )
    type = serializers.ChoiceField(choices=TYPES)
    data = DataField(  # type: ignore[assignment]  # a field may be called so: DRF takes fields off the class
        help_text="Write only. What belongs to each type: docs/credentials.md."
    )
    hosts = serializers.ListField(
        child=HostField(),
        required=False,
        max_length=MAX_HOSTS,
        help_text="Where it may be sent; anywhere (`*`) unless it is said, nowhere if empty.",
    )
    expires_at = serializers.DateTimeField(required=False, allow_null=True)


class NewCredentialBody(CredentialBody):
    """What POST takes."""

    project_id = serializers.UUIDField(required=False, help_text="May be left out where only one can be meant.")


class CredentialShown(serializers.Serializer[Any]):
    """A credential, without what it holds."""

    id = serializers.UUIDField()
    project_id = serializers.UUIDField()
    name = serializers.CharField()
    type = serializers.ChoiceField(choices=TYPES)
    hosts = serializers.ListField(child=serializers.CharField())
    expires_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True, help_text="To the minute.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
