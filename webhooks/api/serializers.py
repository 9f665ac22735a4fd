"""Bodies in and out of inbound webhooks."""

from datetime import timedelta
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from flowforge.api.serializers import StrictSerializer
from flowforge.kernel import durations
from webhooks import constants


@extend_schema_field({"type": ["string", "number"], "examples": ["24h"]})
class OverlapField(serializers.Field[timedelta, Any, Any, Any]):
    """A duration from nothing to MAX_OVERLAP: `24h`."""

    default_error_messages = {"invalid": "A duration from 0s to 7d, such as 24h."}

    def to_internal_value(self, data: Any) -> timedelta:
        try:
            seconds = durations.parse(data)
        except (ValueError, TypeError):
            self.fail("invalid")
        if not 0 <= seconds <= constants.MAX_OVERLAP.total_seconds():
            self.fail("invalid")
        return timedelta(seconds=seconds)

    def to_representation(self, value: timedelta) -> float:
        return value.total_seconds()


@extend_schema_field({"type": ["object", "string", "null"], "additionalProperties": True})
class MappingField(serializers.JSONField):
    """An object whose texts may hold expressions, or one expression that gives an object."""

    default_error_messages = {"not_a_mapping": "An object, or one expression that gives an object."}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict | str):
            self.fail("not_a_mapping")
        return data


class ExpressionField(serializers.CharField):
    """The text of an expression; `webhooks.rules` reads it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            required=False, allow_null=True, max_length=constants.MAX_EXPRESSION_LENGTH, trim_whitespace=False, **kwargs
        )


class WebhookBody(StrictSerializer):
    """What PATCH takes."""

    name = serializers.CharField(max_length=constants.MAX_NAME_LENGTH)
    workflow_id = serializers.UUIDField(help_text="Whose runs it starts.")
    auth = serializers.ChoiceField(
        choices=constants.AUTHS, required=False, help_text="What a call shows. `both`: either; the default."
    )
    signature_scheme = serializers.ChoiceField(choices=constants.SCHEMES, required=False, help_text="How it is signed.")
    signature_header = serializers.RegexField(
        r"^[A-Za-z0-9-]+\Z", max_length=100, required=False, help_text="Of `generic`: where the signature is."
    )
    event_filter = ExpressionField(help_text="Calls for which it is false start nothing.")
    input_mapping = MappingField(
        required=False, allow_null=True, help_text="The run's inputs. Without it the payload; a text as `payload`."
    )
    dedupe = ExpressionField(help_text="Calls for which it gives the same within 24 h are one run.")
    response = serializers.ChoiceField(
        choices=constants.RESPONSES,
        required=False,
        help_text="`wait`: the answer has the run's outputs.",
    )
    enabled = serializers.BooleanField(required=False)


class NewWebhookBody(WebhookBody):
    """What POST takes."""

    project_id = serializers.UUIDField(required=False, help_text="Needed where the caller has several projects.")
    secret = serializers.CharField(
        required=False,
        min_length=constants.SECRET_LENGTH[0],
        max_length=constants.SECRET_LENGTH[1],
        trim_whitespace=False,
        help_text="The sender's own, as Stripe and Slack have one; else one is made.",
    )


class SecretRotationBody(StrictSerializer):
    """What `:rotate_secret` of a webhook takes."""

    overlap = OverlapField(required=False, help_text="How long the old secret holds: up to `7d`; `24h` if unsaid.")
    secret = serializers.CharField(
        required=False,
        min_length=constants.SECRET_LENGTH[0],
        max_length=constants.SECRET_LENGTH[1],
        trim_whitespace=False,
        help_text="The sender's own; else one is made.",
    )


class CallReplayBody(StrictSerializer):
    """What `:replay` of one call takes."""

    version = serializers.IntegerField(
        required=False, min_value=1, help_text="Of the workflow; its current one if unsaid."
    )


class CallsReplayFilter(StrictSerializer):
    """Which calls are meant."""

    decision = serializers.ListField(
        child=serializers.ChoiceField(choices=constants.DECISIONS),
        required=False,
        help_text="`rejected` and `skipped` if unsaid.",
    )
    received_after = serializers.DateTimeField(required=False)
    received_before = serializers.DateTimeField(required=False)


class CallsReplayBody(CallReplayBody):
    """What `deliveries:replay` takes."""

    filter = CallsReplayFilter()


# --- answers, for the OpenAPI document ----------------------------------------------------------------------------


class WebhookShown(serializers.Serializer[Any]):
    """An address that starts runs."""

    id = serializers.UUIDField()
    project_id = serializers.UUIDField()
    workflow_id = serializers.UUIDField()
    name = serializers.CharField()
    url = serializers.URLField(help_text="Where the sender posts to.")
    auth = serializers.ChoiceField(choices=constants.AUTHS)
    signature_scheme = serializers.ChoiceField(choices=constants.SCHEMES)
    signature_header = serializers.CharField()
    event_filter = serializers.CharField(allow_null=True)
    input_mapping = MappingField(allow_null=True)
    dedupe = serializers.CharField(allow_null=True)
    response = serializers.ChoiceField(choices=constants.RESPONSES)
    enabled = serializers.BooleanField()
    last_received_at = serializers.DateTimeField(allow_null=True)
    secret_rotates_until = serializers.DateTimeField(allow_null=True, help_text="Until then the old secret holds too.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class NewWebhookShown(WebhookShown):
    """The same with its secret, this once."""

    secret = serializers.CharField()


class CallShown(serializers.Serializer[Any]):
    """A call, and what was decided upon it."""

    id = serializers.UUIDField()
    webhook_id = serializers.UUIDField()
    decision = serializers.ChoiceField(choices=constants.DECISIONS)
    reason = serializers.CharField(allow_null=True, help_text="Why: a stable code.")
    detail = serializers.CharField(allow_null=True, help_text="The same for people.")
    run_id = serializers.UUIDField(allow_null=True)
    event = serializers.CharField(allow_null=True)
    verified_by = serializers.CharField(allow_null=True, help_text="`hmac`, or `key:<id>`.")
    replay_of = serializers.UUIDField(allow_null=True)
    content_type = serializers.CharField(allow_blank=True)
    headers = serializers.DictField(help_text="Without credentials.")
    query = serializers.DictField()
    size = serializers.IntegerField()
    body = serializers.CharField(allow_null=True, help_text="Its first 4,096 bytes.")
    received_at = serializers.DateTimeField()


class ReceiptShown(serializers.Serializer[Any]):
    """What became of a call."""

    delivery_id = serializers.UUIDField()
    run_id = serializers.UUIDField(allow_null=True, help_text="Null: the filter said no.")


class EndedReceiptShown(ReceiptShown):
    """The same of a webhook that waits, for a run that has ended in time."""

    status = serializers.CharField(required=False)
    outputs = serializers.JSONField(required=False)
    error = serializers.JSONField(required=False)


class CallsReplayedShown(serializers.Serializer[Any]):
    """What replaying many came to."""

    matched = serializers.IntegerField()
    done = serializers.IntegerField()
    failed = serializers.DictField(child=serializers.IntegerField(), help_text="Code to calls.")
    has_more = serializers.BooleanField(help_text="Call again for the rest.")
