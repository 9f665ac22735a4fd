"""What apps above this one answer with as well."""

from typing import Any

from rest_framework import serializers

from workflows.constants import DECISIONS


class DecisionShown(serializers.Serializer[Any]):
    """What became of a tick or an event: `workflows.decisions.show`."""

    id = serializers.UUIDField()
    at = serializers.DateTimeField()
    decision = serializers.ChoiceField(choices=DECISIONS)
    reason = serializers.CharField()
    detail = serializers.CharField()
    due_at = serializers.DateTimeField(allow_null=True, help_text="Of a schedule's tick; else null.")
    until_at = serializers.DateTimeField(allow_null=True, help_text="It speaks of all due times before this one.")
    run_id = serializers.UUIDField(allow_null=True)
