"""Bodies in and out of subscriptions and deliveries."""

from collections.abc import Sequence
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from flowforge.api.serializers import StrictSerializer
from flowforge.events.outbound import is_known_pattern
from webhooks import constants
from webhooks.api.serializers import OverlapField


class SubscriptionBody(StrictSerializer):
    """What PATCH takes."""

    url = serializers.CharField(max_length=constants.MAX_URL_LENGTH, help_text="http or https, on a public address.")
    events = serializers.ListField(
        child=serializers.RegexField(constants.PATTERN, trim_whitespace=False),
        min_length=1,
        max_length=constants.MAX_PATTERNS,
        help_text="Names, or how several begin: `workflow.*`, `*`.",
    )
    workflow_id = serializers.UUIDField(required=False, allow_null=True, help_text="Of this workflow's runs alone.")
    description = serializers.CharField(
        required=False, allow_blank=True, max_length=constants.MAX_DESCRIPTION_LENGTH, trim_whitespace=False
    )
    enabled = serializers.BooleanField(required=False)

    def validate_events(self, patterns: Sequence[str]) -> list[str]:
        """A name of ours that does not exist is a typo, which would never be heard of."""
        faults: dict[str, Any] = {
            str(place): [ErrorDetail("There is no such event.", code="unknown_event")]
            for place, pattern in enumerate(patterns)
            if not is_known_pattern(pattern)
        }
        if faults:
            raise serializers.ValidationError(faults)
        return list(dict.fromkeys(patterns))


class NewSubscriptionBody(SubscriptionBody):
    """What POST takes."""

    project_id = serializers.UUIDField(required=False, help_text="Needed where the caller has several projects.")


class SubscriptionRotationBody(StrictSerializer):
    """What `:rotate_secret` of a subscription takes."""

    overlap = OverlapField(required=False, help_text="How long both secrets sign: up to `7d`; `24h` if unsaid.")


class NothingBody(StrictSerializer):
    """Nothing, or an empty object."""


class RedeliverBody(StrictSerializer):
    """What `:redeliver` of a subscription takes."""

    since = serializers.DateTimeField(help_text="Those of events from this moment on.")
    status = serializers.ListField(
        child=serializers.ChoiceField(choices=constants.STATUSES),
        required=False,
        help_text="`dead` if unsaid.",
    )


class SubscriptionShown(serializers.Serializer[Any]):
    """A server that is told of events."""

    id = serializers.UUIDField()
    project_id = serializers.UUIDField()
    workflow_id = serializers.UUIDField(allow_null=True)
    url = serializers.CharField()
    events = serializers.ListField(child=serializers.CharField())
    description = serializers.CharField(allow_blank=True)
    enabled = serializers.BooleanField()
    disabled_reason = serializers.CharField(allow_null=True)
    failure_count = serializers.IntegerField(help_text="Attempts that failed since the last one that did not.")
    secret_rotates_until = serializers.DateTimeField(allow_null=True, help_text="Until then both secrets sign.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class NewSubscriptionShown(SubscriptionShown):
    """The same with its secret, this once."""

    secret = serializers.CharField()


class AttemptShown(serializers.Serializer[Any]):
    """One attempt to deliver."""

    at = serializers.DateTimeField()
    status = serializers.IntegerField(allow_null=True, help_text="Null: there was no answer.")
    headers = serializers.DictField()
    body = serializers.CharField(allow_blank=True, help_text="The first 4 KiB of the answer.")
    error = serializers.CharField(allow_null=True)
    duration_ms = serializers.IntegerField()


class DeliveryShown(serializers.Serializer[Any]):
    """One event on its way to one subscription."""

    id = serializers.UUIDField(help_text="The `webhook-id` of every attempt.")
    subscription_id = serializers.UUIDField()
    event = serializers.CharField()
    status = serializers.ChoiceField(choices=constants.STATUSES, help_text="`dead`: no attempt is left.")
    attempt = serializers.IntegerField(help_text="How many of the schedule were made.")
    next_attempt_at = serializers.DateTimeField(allow_null=True)
    delivered_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    attempts = AttemptShown(many=True)


class DeliveryInFull(DeliveryShown):
    """The same with what is sent."""

    body = serializers.JSONField()


class RedeliveredShown(serializers.Serializer[Any]):
    """What sending many again came to."""

    matched = serializers.IntegerField()
    has_more = serializers.BooleanField(help_text="Call again for the rest.")
