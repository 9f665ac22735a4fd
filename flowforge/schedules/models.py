"""Schedules, each with its row of beat, and the backfills of their past.

A schedule's bookkeeping is written by `flowforge.schedules.services` alone, under the row's lock.
"""

from django.db import models
from django.db.models import Q
from django_celery_beat.models import PeriodicTask

from flowforge.core import clock
from flowforge.core.models import EditableRow, Row
from flowforge.kernel.schedules.policy import CATCH_UPS, OVERLAPS
from flowforge.projects.models import Project
from flowforge.projects.scoping import ScopedQuerySet
from flowforge.schedules.constants import DEFAULT_WINDOW, KINDS, MAX_DURATION_LENGTH, MAX_NAME_LENGTH
from workflows.models import Workflow


class Schedule(EditableRow):
    """When a workflow runs by itself, and what becomes of due times that are missed or overlap."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="schedules")
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="schedules")
    name = models.CharField(max_length=MAX_NAME_LENGTH)

    # --- what people say
    kind = models.CharField(max_length=16)
    cron = models.CharField(max_length=200, null=True)  # noqa: DJ001  null in the contract: of another kind
    every = models.CharField(max_length=MAX_DURATION_LENGTH, null=True)  # noqa: DJ001  as it was written
    at = models.DateTimeField(null=True)
    timezone = models.CharField(max_length=64, default="UTC")
    inputs = models.JSONField(default=dict)
    overlap = models.CharField(max_length=16, default="skip")
    catch_up = models.CharField(max_length=8, default="none")
    catch_up_window = models.CharField(max_length=MAX_DURATION_LENGTH, default=DEFAULT_WINDOW)
    jitter = models.CharField(max_length=MAX_DURATION_LENGTH, default="0s")
    starts_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True)
    enabled = models.BooleanField(default=True)
    anchor_at = models.DateTimeField(default=clock.now)  # what intervals are counted from: kept as long as they are
    created_by = models.CharField(max_length=80, default="")  # `key:<id>`, `user:<id>` …

    # --- bookkeeping
    next_due_at = models.DateTimeField(null=True)  # the cursor: the first due time that nothing is decided about
    next_run_at = models.DateTimeField(null=True)  # when someone has to look at it: with jitter, or after an error
    last_due_at = models.DateTimeField(null=True)
    last_run_at = models.DateTimeField(null=True)
    error_count = models.PositiveSmallIntegerField(default=0)  # in a row
    error = models.JSONField(null=True)  # the newest: {code, message, at}
    quarantined_at = models.DateTimeField(null=True)
    missed_told_until = models.DateTimeField(null=True)  # `schedule.missed` speaks of what was due until then
    # beat's row: rings the bell. Nothing hangs on it but how soon; services.bells makes it anew if somebody deletes it
    periodic_task = models.OneToOneField(
        PeriodicTask, null=True, on_delete=models.SET_NULL, related_name="flowforge_schedule"
    )

    objects = ScopedQuerySet["Schedule"].as_manager()

    class Meta(EditableRow.Meta):
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=KINDS), name="schedule_kind_known"),
            models.CheckConstraint(condition=Q(overlap__in=OVERLAPS), name="schedule_overlap_known"),
            models.CheckConstraint(condition=Q(catch_up__in=CATCH_UPS), name="schedule_catch_up_known"),
            models.CheckConstraint(
                condition=Q(next_run_at__isnull=True) | Q(enabled=True, quarantined_at__isnull=True),
                name="schedule_rests_when_off",
            ),
        ]
        indexes = [
            models.Index(fields=["project", "-created_at", "-id"], name="schedule_listing"),
            # what is due: selectors.due_schedules
            models.Index(fields=["next_run_at"], name="schedule_due", condition=Q(next_run_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def status(self) -> str:
        """One of `constants.STATUSES`."""
        if self.quarantined_at is not None:
            return "quarantined"
        if not self.enabled:
            return "paused"
        return "finished" if self.next_due_at is None else "active"


class Backfill(Row):
    """A schedule's due times of the past that are to have their runs. Started a few at a time by the clockwork."""

    class Status(models.TextChoices):
        RUNNING = "running"
        COMPLETED = "completed"  # each due time has its run, or was refused
        CANCELLED = "cancelled"
        FAILED = "failed"  # nobody can say any more when its schedule is due

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="backfills")
    status = models.CharField(max_length=16, choices=Status, default=Status.RUNNING)
    from_at = models.DateTimeField()  # inclusive
    to_at = models.DateTimeField()  # exclusive
    next_due_at = models.DateTimeField(null=True)  # the cursor
    total = models.PositiveIntegerField()  # due times within
    started = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)  # they had their run
    rejected = models.PositiveIntegerField(default=0)
    created_by = models.CharField(max_length=80, default="")
    finished_at = models.DateTimeField(null=True)

    class Meta(Row.Meta):
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["running", "completed", "cancelled", "failed"]), name="backfill_status_known"
            ),
        ]
        indexes = [
            models.Index(fields=["schedule", "-created_at", "-id"], name="backfill_listing"),
            # what the clockwork goes on with: selectors.running_backfills
            models.Index(fields=["id"], name="backfill_running", condition=Q(finished_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.from_at:%Y-%m-%d %H:%M} to {self.to_at:%Y-%m-%d %H:%M} ({self.status})"
