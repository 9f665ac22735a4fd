"""Bodies in, and the answers for the OpenAPI document. Templates are shown by `templates_app.present`."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from flowforge.api.serializers import StrictSerializer
from templates_app.constants import MAX_DESCRIPTION_LENGTH, MAX_NAME_LENGTH, MAX_STEP_TYPE_LENGTH


@extend_schema_field({"type": "object", "additionalProperties": True})
class ObjectField(serializers.JSONField):
    """An object whose members others check."""

    default_error_messages = {"invalid": "An object is expected."}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            self.fail("invalid")
        return data


@extend_schema_field({"type": ["object", "null"], "additionalProperties": True})
class NullableObjectField(ObjectField):
    """The same, or nothing."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_null=True, **kwargs)


@extend_schema_field({"type": ["string", "number", "null"], "examples": ["30s", 30]})
class TimeoutField(serializers.JSONField):
    """A duration, as it is written."""


class TemplateFields(StrictSerializer):
    """What a template is made of."""

    name = serializers.CharField(max_length=MAX_NAME_LENGTH, help_text="Unique among the project's templates.")
    description = serializers.CharField(
        required=False, allow_blank=True, max_length=MAX_DESCRIPTION_LENGTH, trim_whitespace=False
    )
    step_type = serializers.CharField(max_length=MAX_STEP_TYPE_LENGTH, help_text="`GET /v1/step-types` lists them.")
    config = ObjectField(help_text="The step's config; its texts may read `parameters.<name>`.")
    parameters = NullableObjectField(help_text="JSON Schema 2020-12 of what a node gives; defaults are applied.")
    retry = NullableObjectField(help_text="A retry policy, for nodes that have none of their own.")
    timeout = TimeoutField(required=False, allow_null=True, help_text="Likewise: of one attempt.")


class TemplateBody(TemplateFields):
    """What PATCH takes."""

    archived = serializers.BooleanField(required=False, help_text="false brings an archived one back.")


class NewTemplateBody(TemplateFields):
    """What POST takes."""

    project_id = serializers.UUIDField(required=False, help_text="May be left out where only one can be meant.")


class RenderTemplateBody(StrictSerializer):
    """Parameters, as a node would give them."""

    parameters = NullableObjectField(help_text="Values by name; texts may hold expressions.")
    version = serializers.IntegerField(required=False, allow_null=True, min_value=1, help_text="The newest by default.")


class ContentShown(serializers.Serializer[Any]):
    """What a version of a template holds."""

    step_type = serializers.CharField()
    config = ObjectField()
    parameters = NullableObjectField()
    retry = NullableObjectField()
    timeout = TimeoutField(allow_null=True)


class TemplateShown(ContentShown):
    """A template with the content of its newest version."""

    id = serializers.UUIDField()
    project_id = serializers.UUIDField()
    name = serializers.CharField()
    description = serializers.CharField()
    version = serializers.IntegerField(help_text="Number of the newest version.")
    archived = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class TemplateVersionShown(ContentShown):
    """A version of a template."""

    id = serializers.UUIDField()
    template_id = serializers.UUIDField()
    version = serializers.IntegerField()
    current = serializers.BooleanField(help_text="Is it the newest?")
    created_by = serializers.UUIDField(allow_null=True, help_text="The person; null for a key.")
    created_at = serializers.DateTimeField()


class RenderedStepShown(serializers.Serializer[Any]):
    """The node that a template gives, and what it is made of."""

    type = serializers.CharField()
    config = ObjectField(help_text="The template's, with the parameters in it.")
    retry = NullableObjectField()
    timeout = TimeoutField(allow_null=True)
    template_id = serializers.UUIDField()
    template_version = serializers.IntegerField()
    parameters = ObjectField(help_text="With the schema's defaults.")
