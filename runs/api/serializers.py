"""Bodies in, and answers for the OpenAPI document. Runs are shown by `runs.present`, not by these."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from flowforge.api.serializers import StrictSerializer
from flowforge.events.schemas import LOG_LEVELS, RUN_EVENTS
from flowforge.kernel import durations
from flowforge.kernel.states import RUN_STATUSES, STEP_STATUSES
from flowforge.steps.values import EVENT_NAME, RESERVED_DETAIL, is_reserved_event
from runs.constants import INT32, MAX_BATCH, MAX_DEDUPE_KEY_LENGTH, MAX_REASON_LENGTH, MAX_WAIT_SECONDS


@extend_schema_field({"type": "object", "additionalProperties": True})
class ObjectField(serializers.DictField):
    """A JSON object of any shape."""


@extend_schema_field({})
class AnyField(serializers.JSONField):
    """Any JSON value."""


@extend_schema_field({"type": ["string", "number"], "examples": ["10s", 10]})
class WaitField(serializers.Field[float, Any, float, Any]):
    """A duration in seconds, `10s` or as a number, up to a minute."""

    default_error_messages = {"invalid": "{reason}", "max_value": "At most {most:g} seconds."}

    def to_internal_value(self, data: Any) -> float:
        try:
            seconds = durations.parse(data)
        except ValueError as error:
            self.fail("invalid", reason=str(error))
        if seconds > MAX_WAIT_SECONDS:
            self.fail("max_value", most=MAX_WAIT_SECONDS)
        return seconds


class StartItemBody(StrictSerializer):
    """What is asked of one run."""

    inputs = ObjectField(required=False, help_text="Checked by the workflow's input_schema, which fills in defaults.")
    metadata = ObjectField(required=False, help_text="Your own labels; listings filter by `metadata.<key>`.")
    priority = serializers.IntegerField(
        required=False, allow_null=True, min_value=INT32[0], max_value=INT32[1], help_text="Higher first."
    )
    run_at = serializers.DateTimeField(required=False, allow_null=True, help_text="Not before this moment.")
    dedupe_key = serializers.CharField(
        required=False,
        allow_null=True,
        max_length=MAX_DEDUPE_KEY_LENGTH,
        trim_whitespace=False,
        help_text="The same key within 24 hours gets the run that it has.",
    )


class StartBody(StartItemBody):
    """What `:run` takes."""

    wait = WaitField(required=False, allow_null=True, help_text="Answer when the run has ended, or this time is up.")


class BatchBody(StrictSerializer):
    """What `runs:batch` takes. Each item is checked by itself: one that is wrong hinders no other."""

    items = serializers.ListField(child=ObjectField(), min_length=1, max_length=MAX_BATCH)


class ExecuteBody(StrictSerializer):
    """What `execute` takes."""

    input = ObjectField(required=False)
    metadata = ObjectField(required=False)


class DecisionBody(StrictSerializer):
    """What `:approve` and `:reject` take."""

    data = AnyField(  # type: ignore[assignment]  # declared fields leave the class: `Serializer.data` stays
        required=False, allow_null=True, help_text="What the approval's form asks for."
    )


class OutputBody(StrictSerializer):
    """What `:complete` takes."""

    output = AnyField(allow_null=True, help_text="The step's output.")


class OverrideBody(OutputBody):
    """What `:override` takes."""

    reason = serializers.CharField(max_length=MAX_REASON_LENGTH, help_text="Why; the history keeps it.")


class PublishBody(StrictSerializer):
    """What `/v1/events` takes."""

    event = serializers.RegexField(
        rf"^{EVENT_NAME}\Z", trim_whitespace=False, help_text="Its name, such as `order.paid`."
    )
    payload = ObjectField(required=False, help_text="What it says.")
    dedupe_key = serializers.CharField(
        required=False,
        allow_null=True,
        max_length=MAX_DEDUPE_KEY_LENGTH,
        trim_whitespace=False,
        help_text="The same key within 24 hours is the same event.",
    )
    project_id = serializers.UUIDField(
        required=False, allow_null=True, help_text="Of which project; a key's own, or a person's only one."
    )

    def validate_event(self, name: str) -> str:
        if is_reserved_event(name):
            raise serializers.ValidationError(RESERVED_DETAIL, code="reserved_event")
        return name


class NoBody(StrictSerializer):
    """Nothing, or an empty object."""


class ReplayBody(StrictSerializer):
    """What `:replay` takes; nothing is enough."""

    inputs = ObjectField(required=False, allow_null=True, help_text="In place of the run's own; checked as at a start.")
    from_node = serializers.CharField(
        required=False, allow_null=True, help_text="What is not downstream of it is taken over as far as it completed."
    )
    version = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=INT32[1], help_text="Of the workflow; else the run's."
    )


class PriorityBody(StrictSerializer):
    """What can be changed of a run that is pending."""

    priority = serializers.IntegerField(min_value=INT32[0], max_value=INT32[1], help_text="Higher first.")


class BulkBody(StrictSerializer):
    """What `runs:bulk` takes."""

    action = serializers.ChoiceField(choices=("cancel", "retry"))
    filter = ObjectField(help_text='The filters of the listing, as members; `{"all": true}` for every run.')
    dry_run = serializers.BooleanField(required=False, default=False, help_text="Count, and change nothing.")


# --- answers, for the OpenAPI document ----------------------------------------------------------------------------


class TriggerShown(serializers.Serializer[Any]):
    type = serializers.CharField(help_text="`api, schedule, webhook, event, workflow` …")
    id = serializers.CharField(allow_null=True)


class ErrorShown(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.CharField()
    step = serializers.CharField(allow_null=True, help_text="Id of the node that failed.")
    details = ObjectField(help_text="Of a run whose step failed: that step's own error.")


class MetricsShown(serializers.Serializer[Any]):
    queue_ms = serializers.IntegerField(allow_null=True, help_text="From being due to being begun.")
    duration_ms = serializers.IntegerField(allow_null=True, help_text="From its beginning to its end.")
    steps_total = serializers.IntegerField()
    steps_completed = serializers.IntegerField()
    steps_failed = serializers.IntegerField()
    steps_skipped = serializers.IntegerField()
    retries = serializers.IntegerField()
    llm_cost = serializers.FloatField()


class LogShown(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    level = serializers.ChoiceField(choices=LOG_LEVELS)
    message = serializers.CharField()


class StepShown(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    node_id = serializers.CharField()
    index = serializers.IntegerField(required=False, help_text="Of an item of a map alone: its place in the list.")
    name = serializers.CharField()
    type = serializers.CharField()
    status = serializers.ChoiceField(choices=STEP_STATUSES)
    attempt = serializers.IntegerField(help_text="0 before the first.")
    max_attempts = serializers.IntegerField()
    inputs = AnyField(allow_null=True, help_text="The rendered config, secrets masked.")
    output = AnyField(allow_null=True)
    error = ErrorShown(allow_null=True)
    branch = serializers.CharField(allow_null=True)
    worker = serializers.CharField(allow_null=True)
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    duration_ms = serializers.IntegerField(allow_null=True)
    logs = LogShown(many=True, help_text="The newest 20 lines.")


class RunRowShown(serializers.Serializer[Any]):
    """A run as a list shows it."""

    id = serializers.UUIDField()
    workflow_id = serializers.UUIDField()
    workflow_name = serializers.CharField()
    workflow_version = serializers.IntegerField()
    project_id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=RUN_STATUSES)
    status_reason = serializers.CharField(allow_null=True)
    attempt = serializers.IntegerField(help_text="1, and one more for each `:retry`.")
    priority = serializers.IntegerField(help_text="Higher first, among runs that have not begun.")
    trigger = TriggerShown()
    inputs = ObjectField()
    outputs = AnyField(allow_null=True)
    metadata = ObjectField()
    error = ErrorShown(allow_null=True)
    metrics = MetricsShown()
    parent_run_id = serializers.UUIDField(allow_null=True)
    replay_of = serializers.UUIDField(allow_null=True)
    trace_id = serializers.CharField()
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class RunShown(RunRowShown):
    """A run in full."""

    steps = StepShown(many=True, required=False, help_text="Left out on request, and where there are over 1,000.")


class ProblemShown(serializers.Serializer[Any]):
    """Why an item of a batch got no run (RFC 9457)."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField()


class BatchAnswerShown(serializers.Serializer[Any]):
    """Either of the two."""

    run = RunRowShown(required=False)
    error = ProblemShown(required=False)


class EventShown(serializers.Serializer[Any]):
    seq = serializers.IntegerField()
    at = serializers.DateTimeField()
    event = serializers.ChoiceField(choices=tuple(RUN_EVENTS))
    run_id = serializers.UUIDField()
    step_id = serializers.UUIDField(required=False)
    data = ObjectField()  # type: ignore[assignment]  # declared fields leave the class: `Serializer.data` stays


class BulkShown(serializers.Serializer[Any]):
    action = serializers.ChoiceField(choices=("cancel", "retry"))
    dry_run = serializers.BooleanField()
    matched = serializers.IntegerField(help_text="`done` and `skipped` together.")
    done = serializers.IntegerField(help_text="Asked to end, or retried; of a dry run: would be.")
    skipped = serializers.IntegerField()
    reasons = serializers.DictField(
        child=serializers.IntegerField(),
        help_text="Why and how many: `is_completed` …, `in_progress`, `conflict` for what changed meanwhile.",
    )
    has_more = serializers.BooleanField(help_text="There are more than one call takes: call again.")


class FailureShown(serializers.Serializer[Any]):
    """Failures of runs that are alike."""

    id = serializers.UUIDField()
    project_id = serializers.UUIDField()
    workflow_id = serializers.UUIDField()
    workflow_name = serializers.CharField()
    node_id = serializers.CharField(allow_null=True, help_text="Null where no step is to blame.")
    code = serializers.CharField()
    message = serializers.CharField(help_text="Without numbers, ids, quoted texts and paths.")
    status = serializers.ChoiceField(choices=("open", "resolved"))
    count = serializers.IntegerField(help_text="How often it was seen.")
    first_seen = serializers.DateTimeField()
    last_seen = serializers.DateTimeField()
    resolved_at = serializers.DateTimeField(allow_null=True)
    sample_run_id = serializers.UUIDField(help_text="The newest run that failed so.")


class ExecutionShown(serializers.Serializer[Any]):
    execution_id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=("RUNNING",))


class ApprovalShown(serializers.Serializer[Any]):
    """An approval that waits."""

    id = serializers.UUIDField(help_text="The step's.")
    step_id = serializers.UUIDField()
    run_id = serializers.UUIDField()
    node_id = serializers.CharField()
    project_id = serializers.UUIDField()
    workflow_id = serializers.UUIDField()
    workflow_name = serializers.CharField()
    title = serializers.CharField()
    instructions = serializers.CharField(allow_null=True)
    form = ObjectField(allow_null=True, help_text="JSON Schema of `data`.")
    assignees = serializers.ListField(child=serializers.CharField(), help_text="Empty: everybody.")
    requested_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)


class UnclearShown(serializers.Serializer[Any]):
    """A step that waits on because its `match` could not be evaluated."""

    run_id = serializers.UUIDField()
    step_id = serializers.UUIDField()
    code = serializers.CharField()
    message = serializers.CharField()


class ProjectEventShown(serializers.Serializer[Any]):
    """An event of a project."""

    id = serializers.UUIDField()
    project_id = serializers.UUIDField()
    event = serializers.CharField()
    payload = ObjectField()
    source = serializers.CharField(  # type: ignore[assignment]  # declared fields leave the class
        help_text="Who published it: `key:<id>`, `user:<id>` or `step:<id>`."
    )
    matched = serializers.IntegerField(help_text="How many waiting steps it has ended so far.")
    started = serializers.IntegerField(help_text="How many runs event triggers have started of it so far.")
    created_at = serializers.DateTimeField()


class PublishedShown(ProjectEventShown):
    """An event that was just published."""

    unclear = UnclearShown(many=True, help_text="The first 20.")
    run_ids = serializers.ListField(child=serializers.UUIDField(), help_text="The first 100 runs that it has started.")
