"""Bodies in, and the answer for the OpenAPI document. Alerts are shown by `alerts.present`."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from flowforge.alerts.constants import DEFAULT_WINDOW, MAX_NAME_LENGTH, METRICS, OPERATORS, SEVERITIES, STATES
from flowforge.api.serializers import StrictSerializer
from flowforge.kernel import durations


@extend_schema_field({"type": ["string", "number"], "examples": ["1h", 3600]})
class WindowField(serializers.Field[str, Any, str, Any]):
    """A duration, kept as it was written; a number of seconds becomes text."""

    default_error_messages = {"invalid": "{reason}"}

    def to_internal_value(self, data: Any) -> str:
        try:
            seconds = durations.parse(data)
        except ValueError as error:
            self.fail("invalid", reason=str(error))
        return data if isinstance(data, str) and len(data) <= 32 else durations.format(seconds)


@extend_schema_field({"type": ["number", "string"], "examples": [0.2, 3, "5m"]})
class ThresholdField(serializers.Field[Any, Any, Any, Any]):
    """A number, or a duration where the metric is one; which is right depends on the metric."""

    default_error_messages = {"invalid": "A number is expected, or a duration such as 5m where the metric is one."}

    def to_internal_value(self, data: Any) -> float | str:
        if isinstance(data, bool) or not isinstance(data, (int, float, str)):
            self.fail("invalid")
        return data


class AlertBody(StrictSerializer):
    """What PATCH takes."""

    name = serializers.CharField(max_length=MAX_NAME_LENGTH)
    workflow_id = serializers.UUIDField(required=False, allow_null=True, help_text="null: all runs of the project.")
    metric = serializers.ChoiceField(choices=METRICS)
    operator = serializers.ChoiceField(choices=tuple(OPERATORS), required=False, help_text="`gt` by default.")
    threshold = ThresholdField(
        required=False,
        allow_null=True,
        help_text="A share for failure_rate, seconds for what lasts; no_run needs none.",
    )
    window = WindowField(required=False, help_text=f"How far back it looks: {DEFAULT_WINDOW} by default, 31d at most.")
    severity = serializers.ChoiceField(choices=SEVERITIES, required=False, help_text="`warning` by default.")
    enabled = serializers.BooleanField(required=False)


class NewAlertBody(AlertBody):
    """What POST takes."""

    project_id = serializers.UUIDField(required=False, help_text="May be left out where only one can be meant.")


class AlertShown(serializers.Serializer[Any]):
    """An alert."""

    id = serializers.UUIDField()
    project_id = serializers.UUIDField()
    workflow_id = serializers.UUIDField(allow_null=True)
    name = serializers.CharField()
    metric = serializers.ChoiceField(choices=METRICS)
    operator = serializers.ChoiceField(choices=tuple(OPERATORS))
    threshold = serializers.FloatField()
    window = serializers.CharField()
    severity = serializers.ChoiceField(choices=SEVERITIES)
    enabled = serializers.BooleanField()
    state = serializers.ChoiceField(choices=STATES)
    value = serializers.FloatField(allow_null=True, help_text="What the newest look found; null: nothing to judge.")
    last_triggered_at = serializers.DateTimeField(allow_null=True, help_text="When it last began to fire.")
    error = serializers.CharField(allow_null=True, help_text="Why it could not be judged.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
