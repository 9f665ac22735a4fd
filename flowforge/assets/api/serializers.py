"""Bodies in, and the answers for the OpenAPI document. Assets are shown by `assets.present`."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from flowforge.api.serializers import StrictSerializer
from flowforge.assets.constants import (
    MAX_LABEL_LENGTH,
    MAX_MEDIA_TYPE_LENGTH,
    MAX_METADATA_BYTES,
    MEDIA_TYPE,
    SHA256,
    TYPES,
)
from flowforge.core import json

_OBJECT = {"type": "object", "additionalProperties": True}


@extend_schema_field(_OBJECT)
class ObjectField(serializers.Field[dict[str, Any], Any, Any, Any]):
    """An object of any members, up to a size."""

    default_error_messages = {
        "invalid": "An object is expected.",
        "max_length": f"At most {MAX_METADATA_BYTES} bytes as JSON.",
    }

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("invalid")
        if len(json.dumps(data)) > MAX_METADATA_BYTES:
            self.fail("max_length")
        return data


class ContentFields(StrictSerializer):
    """What goes along with a content."""

    content_type = serializers.RegexField(
        rf"^{MEDIA_TYPE.pattern}\Z",
        max_length=MAX_MEDIA_TYPE_LENGTH,
        required=False,
        help_text="A media type without parameters; by default that of the uploaded file.",
    )
    sha256 = serializers.RegexField(
        rf"^{SHA256.pattern}\Z",
        required=False,
        help_text="Of the content, in hexadecimal: 422 if other bytes have come.",
    )


class AssetFields(ContentFields):
    """What PATCH takes beside the content."""

    label = serializers.CharField(max_length=MAX_LABEL_LENGTH)  # type: ignore[assignment]  # a field of that name, as the contract has it
    metadata = ObjectField(required=False)


class NewAssetFields(AssetFields):
    """What POST takes beside the content."""

    type = serializers.ChoiceField(choices=TYPES)
    project_id = serializers.UUIDField(required=False, help_text="May be left out where only one can be meant.")


class ContentBody(ContentFields):
    """The next content, as JSON."""

    content = serializers.CharField(allow_blank=True, trim_whitespace=False)


class AssetBody(AssetFields):
    """What PATCH takes, as JSON."""

    content = serializers.CharField(
        required=False, allow_blank=True, trim_whitespace=False, help_text="Becomes the next version."
    )


class NewAssetBody(NewAssetFields):
    """What POST takes, as JSON."""

    content = serializers.CharField(
        allow_blank=True, trim_whitespace=False, help_text="Text; upload a `file` for anything else."
    )


class RenderBody(StrictSerializer):
    """Variables of a prompt."""

    variables = ObjectField(required=False, help_text="By name; the prompt says which.")
    version = serializers.IntegerField(required=False, min_value=1, help_text="The newest by default.")


class AssetRow(serializers.Serializer[Any]):
    """An asset, without its content."""

    id = serializers.UUIDField()
    project_id = serializers.UUIDField()
    type = serializers.ChoiceField(choices=TYPES)
    label = serializers.CharField()  # type: ignore[assignment]  # as above
    metadata = ObjectField()
    version = serializers.IntegerField(help_text="The newest.")
    size = serializers.IntegerField(help_text="Bytes of its content.")
    sha256 = serializers.CharField(help_text="Of its content, in hexadecimal.")
    content_type = serializers.CharField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class AssetShown(AssetRow):
    """An asset."""

    content = serializers.CharField(required=False, help_text="Of prompts and snippets.")
    variables = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="Of prompts: what `:render` and `llm` steps fill in."
    )


class AssetVersionShown(serializers.Serializer[Any]):
    """One content of an asset."""

    version = serializers.IntegerField()
    size = serializers.IntegerField()
    sha256 = serializers.CharField()
    content_type = serializers.CharField()
    created_by = serializers.CharField(help_text="`user:…`, `key:…` or `run:…`.")
    created_at = serializers.DateTimeField()


class RenderedShown(serializers.Serializer[Any]):
    """A prompt with its variables filled in."""

    text = serializers.CharField()
    variables = serializers.ListField(child=serializers.CharField(), help_text="The names that it reads.")
    version = serializers.IntegerField()
