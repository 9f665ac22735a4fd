"""Bodies in, and the answer for the OpenAPI document. Event triggers are shown by `triggers.present`."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from flowforge.api.serializers import StrictSerializer
from flowforge.steps.values import EVENT_NAME
from flowforge.triggers import constants


@extend_schema_field({"type": ["object", "string", "null"], "additionalProperties": True})
class MappingField(serializers.JSONField):
    """An object whose texts may hold expressions, or one expression that gives an object."""

    default_error_messages = {"not_a_mapping": "An object, or one expression that gives an object."}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict | str):
            self.fail("not_a_mapping")
        return data


class ExpressionField(serializers.CharField):
    """The text of an expression; `kernel.trigger_rules` reads it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            required=False, allow_null=True, max_length=constants.MAX_EXPRESSION_LENGTH, trim_whitespace=False, **kwargs
        )


class EventTriggerBody(StrictSerializer):
    """What PATCH takes."""

    name = serializers.CharField(max_length=constants.MAX_NAME_LENGTH)
    workflow_id = serializers.UUIDField(help_text="Whose runs it starts.")
    event = serializers.RegexField(
        rf"^(\*|{EVENT_NAME}\*?)\Z",
        max_length=constants.MAX_EVENT_LENGTH,
        help_text="A name such as order.paid, or how several begin: `order.*`, `*`.",
    )
    match = ExpressionField(help_text="Events for which it is false start nothing. Reads `payload` and `event`.")
    input_mapping = MappingField(
        required=False, allow_null=True, help_text="The run's inputs. Without it the payload is the inputs."
    )
    dedupe = ExpressionField(help_text="Events for which it gives the same within 24 h are one run.")
    enabled = serializers.BooleanField(required=False)


class NewEventTriggerBody(EventTriggerBody):
    """What POST takes."""

    project_id = serializers.UUIDField(required=False, help_text="May be left out where only one can be meant.")


class EventTriggerShown(serializers.Serializer[Any]):
    """An event trigger."""

    id = serializers.UUIDField()
    project_id = serializers.UUIDField()
    workflow_id = serializers.UUIDField()
    name = serializers.CharField()
    event = serializers.CharField()
    match = serializers.CharField(allow_null=True)
    input_mapping = MappingField(allow_null=True)
    dedupe = serializers.CharField(allow_null=True)
    enabled = serializers.BooleanField()
    last_fired_at = serializers.DateTimeField(allow_null=True, help_text="When it last started a run.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
