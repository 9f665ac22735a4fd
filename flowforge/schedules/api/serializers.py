"""Bodies in, and answers for the OpenAPI document. How schedules are shown: `flowforge.schedules.present`."""

from datetime import datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from flowforge.api.serializers import StrictSerializer
from flowforge.kernel import durations
from flowforge.kernel.schedules.cron import MAX_LENGTH as MAX_CRON_LENGTH
from flowforge.kernel.schedules.policy import CATCH_UPS, OVERLAPS
from flowforge.schedules.constants import DEFAULT_WINDOW, KINDS, MAX_DOWNTIMES, MAX_NAME_LENGTH, STATUSES
from flowforge.schedules.models import Backfill
from workflows.constants import DECISIONS

MARKS = ("gap", "first", "second")


@extend_schema_field({"type": "object", "additionalProperties": True})
class ObjectField(serializers.DictField):
    """A JSON object of any shape."""


@extend_schema_field({"type": ["string", "number"], "examples": ["5m", 300]})
class DurationField(serializers.Field[str, Any, str, Any]):
    """A duration, kept as it was written; a number of seconds becomes text."""

    default_error_messages = {"invalid": "{reason}"}

    def to_internal_value(self, data: Any) -> str:
        try:
            seconds = durations.parse(data)
        except ValueError as error:
            self.fail("invalid", reason=str(error))
        return data if isinstance(data, str) else durations.format(seconds)


@extend_schema_field({"type": "string", "examples": ["2026-01-01T12:00:00Z", "2026-01-01T12:00:00"]})
class MomentField(serializers.Field[datetime, Any, str, Any]):
    """A moment in ISO 8601; without an offset it is a local time of the schedule's time zone, and stays naive here."""

    default_error_messages = {"invalid": "A moment such as 2026-01-01T12:00:00Z is expected."}

    def to_internal_value(self, data: Any) -> datetime:
        try:
            found = datetime.fromisoformat(data)
        except (TypeError, ValueError):
            self.fail("invalid")
        if not 1970 < found.year < 9000 or len(data) <= len("2026-01-01"):
            self.fail("invalid")
        return found


class TimingBody(StrictSerializer):
    """When a schedule is due, and what becomes of due times."""

    kind = serializers.ChoiceField(
        choices=KINDS, required=False, help_text="What is meant by `cron`, `every` or `at` unless it is said."
    )
    cron = serializers.CharField(
        required=False,
        allow_null=True,
        max_length=MAX_CRON_LENGTH,
        help_text="Five fields, names such as MON and JAN, or @daily and its kin.",
    )
    every = DurationField(required=False, allow_null=True, help_text="A second at least.")
    at = MomentField(required=False, allow_null=True, help_text="When it is due once.")
    timezone = serializers.CharField(required=False, max_length=64, help_text="An IANA name; UTC by default.")
    overlap = serializers.ChoiceField(
        choices=OVERLAPS, required=False, help_text="What a due time does that meets a run of an earlier one."
    )
    catch_up = serializers.ChoiceField(
        choices=CATCH_UPS, required=False, help_text="Which of the due times that were missed get their run."
    )
    catch_up_window = DurationField(required=False, help_text=f"How far back that goes: {DEFAULT_WINDOW} by default.")
    jitter = DurationField(
        required=False, help_text="A run starts so much later at most, always the same for a due time."
    )
    starts_at = MomentField(required=False, allow_null=True, help_text="Not due before.")
    ends_at = MomentField(required=False, allow_null=True, help_text="Not due after.")


class ScheduleBody(TimingBody):
    """What PATCH takes."""

    name = serializers.CharField(max_length=MAX_NAME_LENGTH)
    inputs = ObjectField(required=False, help_text="Of its runs; checked by the workflow's input_schema.")
    enabled = serializers.BooleanField(required=False)


class NewScheduleBody(ScheduleBody):
    """What POST takes."""

    workflow_id = serializers.UUIDField()
    project_id = serializers.UUIDField(required=False, help_text="The workflow's; may be left out.")


class TriggerBody(StrictSerializer):
    inputs = ObjectField(required=False, help_text="Go over the schedule's own, name by name.")


class BackfillBody(StrictSerializer):
    """A stretch of the past."""

    def get_fields(self) -> dict[str, Any]:
        """`from` is a word of Python's."""
        return {
            "from": MomentField(help_text="Inclusive."),
            "to": MomentField(help_text="Exclusive; not later than now."),
        }


class DowntimeBody(BackfillBody):
    """When nothing looks at schedules."""


class SimulatedBody(TimingBody):
    """A schedule as it might be created; its workflow says how long runs last."""

    name = serializers.CharField(required=False, max_length=MAX_NAME_LENGTH)
    workflow_id = serializers.UUIDField(required=False)
    project_id = serializers.UUIDField(required=False)
    inputs = ObjectField(required=False)
    enabled = serializers.BooleanField(required=False)


class SimulateBody(BackfillBody):
    """What is to be played."""

    def get_fields(self) -> dict[str, Any]:
        return {
            "schedule": SimulatedBody(),
            **super().get_fields(),
            "downtime": serializers.ListField(child=DowntimeBody(), required=False, max_length=MAX_DOWNTIMES),
            "run_duration": DurationField(required=False, help_text="How long each run lasts; 0s by default."),
        }


class EmptyBody(StrictSerializer):
    """Nothing is asked for."""


# --- answers, for the OpenAPI document ----------------------------------------------------------------------------


class ScheduleErrorShown(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.CharField()
    at = serializers.DateTimeField()


class ScheduleShown(serializers.Serializer[Any]):
    """A schedule."""

    id = serializers.UUIDField()
    project_id = serializers.UUIDField()
    workflow_id = serializers.UUIDField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=KINDS)
    cron = serializers.CharField(allow_null=True)
    every = serializers.CharField(allow_null=True)
    at = serializers.DateTimeField(allow_null=True)
    timezone = serializers.CharField()
    inputs = ObjectField()
    overlap = serializers.ChoiceField(choices=OVERLAPS)
    catch_up = serializers.ChoiceField(choices=CATCH_UPS)
    catch_up_window = serializers.CharField()
    jitter = serializers.CharField()
    starts_at = serializers.DateTimeField(allow_null=True)
    ends_at = serializers.DateTimeField(allow_null=True)
    enabled = serializers.BooleanField()
    status = serializers.ChoiceField(choices=STATUSES, help_text="finished: it is due no more.")
    next_run_at = serializers.DateTimeField(allow_null=True)
    last_run_at = serializers.DateTimeField(allow_null=True, help_text="When the newest run of a due time was started.")
    last_due_at = serializers.DateTimeField(allow_null=True, help_text="The due time that this run belongs to.")
    error = ScheduleErrorShown(allow_null=True, help_text="The newest, until a run starts.")
    quarantined_at = serializers.DateTimeField(allow_null=True, help_text="Put aside after three errors in a row.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class DueShown(serializers.Serializer[Any]):
    """A due time."""

    due_at = serializers.DateTimeField()
    local = serializers.CharField(help_text="As clocks in the schedule's time zone show it.")
    dst = serializers.ChoiceField(
        choices=MARKS,
        allow_null=True,
        help_text="gap: its local time is skipped, it comes right after; first, second: that comes twice.",
    )


class PreviewShown(DueShown):
    run_at = serializers.DateTimeField(help_text="The due time with its jitter.")


class SimulatedShown(DueShown):
    """A due time, and what would become of it."""

    decision = serializers.ChoiceField(choices=DECISIONS)
    reason = serializers.CharField()
    run_at = serializers.DateTimeField(allow_null=True)
    until_at = serializers.DateTimeField(allow_null=True, help_text="It speaks of all due times before this one.")


class HolderShown(serializers.Serializer[Any]):
    type = serializers.CharField()
    id = serializers.CharField()


class CauseShown(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.CharField()
    holder = HolderShown(allow_null=True)
    since = serializers.DateTimeField(allow_null=True)
    position = serializers.IntegerField(allow_null=True)
    unblock = serializers.ListField(child=serializers.CharField())


class ExplanationShown(serializers.Serializer[Any]):
    """Why it does not move."""

    summary = serializers.CharField()
    causes = CauseShown(many=True)


class BackfillShown(serializers.Serializer[Any]):
    """A backfill."""

    def get_fields(self) -> dict[str, Any]:
        return {
            "id": serializers.UUIDField(),
            "schedule_id": serializers.UUIDField(),
            "status": serializers.ChoiceField(choices=Backfill.Status.values),
            "from": serializers.DateTimeField(),
            "to": serializers.DateTimeField(),
            "total": serializers.IntegerField(help_text="Due times within."),
            "started": serializers.IntegerField(),
            "skipped": serializers.IntegerField(help_text="They had their run."),
            "rejected": serializers.IntegerField(),
            "created_at": serializers.DateTimeField(),
            "finished_at": serializers.DateTimeField(allow_null=True),
        }
