"""What clients get, for the OpenAPI document."""

from typing import Any, Final

from rest_framework import serializers

CODES: Final = (
    *("waiting_for_worker", "concurrency_limit", "concurrency_key", "frozen", "paused", "waiting_for_approval"),
    *("waiting_for_event", "waiting_until", "retry_backoff", "dependency", "budget", "engine_paused"),
    "no_worker_for_queue",
)


class RunHolderShown(serializers.Serializer[Any]):
    type = serializers.CharField(help_text="`run`, `step`, `project`, `workflow`, `engine`, `queue` or `event`.")
    id = serializers.CharField(allow_null=True)


class RunCauseShown(serializers.Serializer[Any]):
    code = serializers.ChoiceField(choices=CODES)
    message = serializers.CharField()
    holder = RunHolderShown(allow_null=True, help_text="Who has, or is, what it waits for.")
    since = serializers.DateTimeField(allow_null=True)
    until = serializers.DateTimeField(allow_null=True, help_text="Where that is known.")
    position = serializers.IntegerField(allow_null=True, help_text="In the queue, from 1.")
    step = serializers.CharField(allow_null=True, help_text="The step that it keeps; null: the whole run.")
    unblock = serializers.ListField(child=serializers.CharField(), help_text="What would help.")


class RunExplanationShown(serializers.Serializer[Any]):
    summary = serializers.CharField()
    causes = RunCauseShown(many=True)


class LimitHolderShown(RunHolderShown):
    since = serializers.DateTimeField(allow_null=True)


class LimitShown(serializers.Serializer[Any]):
    kind = serializers.CharField(
        help_text="`project_runs`, `concurrency_key`, `rate_limit`, `run_steps`, `api_calls`, `thaw` or `queue`."
    )
    scope = RunHolderShown(help_text="Where it is set.")
    key = serializers.CharField(allow_null=True, help_text="The key of a workflow's limit, the bucket of calls.")
    limit = serializers.CharField(allow_null=True, help_text="A number, or a rate such as `10/m`; null: none is set.")
    occupied = serializers.IntegerField(help_text="Counted from live rows at this moment.")
    waiting = serializers.IntegerField(help_text="How many stand before it.")
    holders = LimitHolderShown(many=True, help_text="Who has its places: the first of them.")
    free_at = serializers.DateTimeField(allow_null=True, help_text="When there is a place again, where that is known.")
