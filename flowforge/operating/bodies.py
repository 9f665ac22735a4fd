"""What clients send to freeze and to thaw, checked; what they get, for the OpenAPI document."""

from typing import Any, Final

from rest_framework import serializers

from flowforge.api.serializers import StrictSerializer
from flowforge.kernel import durations
from flowforge.operating.constants import FROZEN, MAX_REASON_LENGTH, THAWING

RATE_PATTERN: Final = r"^0*[1-9][0-9]{0,8}/[smhd]$"
FROZEN_EXAMPLE: Final = {
    "status": FROZEN,
    "reason": "The provider sends the same orders twice.",
    "by": "ann",
    "since": "2026-01-01T12:00:00.123456Z",
    "until": "2026-01-01T14:00:00.000000Z",
    "rate": None,
}
FREEZE_EXAMPLE: Final = {"reason": FROZEN_EXAMPLE["reason"], "until": "2026-01-01T14:00:00Z"}
THAW_EXAMPLE: Final = {"rate": "10/m"}


class FreezeBody(StrictSerializer):
    reason = serializers.CharField(max_length=MAX_REASON_LENGTH, help_text="Why: for whoever finds it frozen.")
    until = serializers.DateTimeField(required=False, allow_null=True, help_text="When it thaws by itself.")


class ThawBody(StrictSerializer):
    rate = serializers.CharField(
        required=False,
        max_length=24,
        help_text="How many of the runs that were held back begin, such as `10/m`. Absent: as the server is set.",
    )

    def validate_rate(self, value: str) -> str:
        try:
            durations.parse_rate(value)
        except ValueError as error:
            raise serializers.ValidationError(str(error), code="invalid_rate") from error
        return value


class FreezeShown(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=(FROZEN, THAWING))
    reason = serializers.CharField()
    by = serializers.CharField(help_text="Who froze it.")
    since = serializers.DateTimeField()
    until = serializers.DateTimeField(allow_null=True, help_text="When it thaws by itself.")
    rate = serializers.CharField(allow_null=True, help_text="While it thaws: how many begin.")
