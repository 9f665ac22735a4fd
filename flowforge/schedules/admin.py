"""Schedules for people with the admin: read, and steered through the services that the API calls."""

from itertools import islice
from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django_celery_beat.models import PeriodicTask
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesRadioFilter

from flowforge.core import clock
from flowforge.schedules.constants import TRIGGER
from flowforge.schedules.models import Backfill, Schedule
from flowforge.schedules.recurrences import recurrence_of
from flowforge.schedules.services.backfills import cancel_backfill
from flowforge.schedules.services.manual import trigger_schedule
from flowforge.schedules.services.saving import delete_schedule, pause_schedule, resume_schedule
from flowforge.staff import shown
from flowforge.staff.commands import Command
from flowforge.staff.pages import ProjectRowsAdmin, ReadOnlyAdmin
from workflows import decisions

COMING_SHOWN = 5
DECISIONS_SHOWN = 20


@admin.register(Schedule)
class ScheduleAdmin(ProjectRowsAdmin):
    """Read-only rows: a schedule is changed by the API, where it is checked as a whole."""

    list_display = ("name", "shown_status", "when", "workflow_name", "project_name", "next_run_at", "last_run_at")
    list_filter = ("enabled", ("workflow", AutocompleteSelectFilter), ("project", AutocompleteSelectFilter))
    list_select_related = ("workflow", "project")
    search_fields = ("name",)
    search_help_text = "Part of a name"
    fields = (
        *("id", "name", "workflow", "project", "shown_status", "when", "timezone", "coming", "newest_decisions"),
        *("overlap", "catch_up", "catch_up_window", "jitter", "starts_at", "ends_at", "shown_inputs"),
        *("next_run_at", "last_run_at", "last_due_at", "shown_error", "quarantined_at"),
        *("created_by", "created_at", "updated_at"),
    )
    commands = (
        Command(
            name="pause",
            title="Pause schedule",
            explanation="It is due no more until it is resumed; its runs go on.",
            done="paused",
            carry_out=lambda _caller, row: pause_schedule(schedule_id=row.pk),
            applies=lambda row: row.enabled,
            icon="pause",
        ),
        Command(
            name="resume",
            title="Resume schedule",
            explanation="It is due again from now on; what it was due meanwhile is not made up for.",
            done="due again",
            carry_out=lambda _caller, row: resume_schedule(schedule_id=row.pk),
            applies=lambda row: not row.enabled or row.quarantined_at is not None,
            icon="play_arrow",
        ),
        Command(
            name="trigger",
            title="Run now",
            explanation="A run with the schedule's inputs is started, beside those of its due times.",
            done="a run is started",
            carry_out=lambda caller, row: trigger_schedule(schedule_id=row.pk, actor=caller.actor),
            icon="bolt",
        ),
        Command(
            name="remove",
            title="Remove schedule",
            explanation="It is gone for good. Its runs stay.",
            done="removed",
            carry_out=lambda _caller, row: delete_schedule(schedule_id=row.pk),
            icon="delete",
            destructive=True,
        ),
    )

    def name_of(self, row: Model) -> str:
        return f"Schedule {row}"

    @admin.display(description="status")
    def shown_status(self, row: Schedule) -> SafeString:
        return shown.label(row.status)

    @admin.display(description="when")
    def when(self, row: Schedule) -> str:
        return row.cron or (f"every {row.every}" if row.every else shown.moment(row.at))

    @admin.display(description="coming due times")
    def coming(self, row: Schedule) -> str:
        try:
            found = [due.at for due in islice(recurrence_of(row).dues(clock.now()), COMING_SHOWN)]
        except ValueError as error:
            return f"nobody can say: {error}"
        return format_html_join(", ", "{}", ((shown.moment(at),) for at in found)) or "–"

    @admin.display(description="inputs")
    def shown_inputs(self, row: Schedule) -> SafeString:
        return shown.code_block(shown.document(row.inputs))

    @admin.display(description="error")
    def shown_error(self, row: Schedule) -> str:
        return f"{row.error['code']}: {row.error['message']}" if row.error else "–"

    @admin.display(description="newest decisions")
    def newest_decisions(self, row: Schedule) -> SafeString:
        found = decisions.decisions_of(TRIGGER, str(row.pk)).order_by("-created_at", "-id")[:DECISIONS_SHOWN]
        lines = format_html_join("", "<li>{} {} {} {}</li>", map(_line, found))
        return format_html("<ul>{}</ul>", lines) if lines else SafeString("–")


def _line(row: dict[str, Any]) -> tuple[SafeString, SafeString, str, str]:
    """When it was due, what became of it with the way to its run, why, and more for people."""
    page = None if row["run_id"] is None else reverse("admin:runs_run_change", args=[row["run_id"]])
    at = shown.moment(row["due_at"] or row["created_at"])
    return at, shown.label(row["decision"], href=page), row["reason"], row["detail"]


@admin.register(Backfill)
class BackfillAdmin(ReadOnlyAdmin):
    """How far backfills have come."""

    list_display = ("schedule", "shown_status", "from_at", "to_at", "total", "started", "skipped", "created_at")
    list_filter = (("status", ChoicesRadioFilter),)
    list_filter_submit = True
    list_per_page = 50
    list_select_related = ("schedule",)
    ordering = ("-created_at", "-id")
    sortable_by = ()
    fields = (
        *("id", "schedule", "shown_status", "from_at", "to_at", "next_due_at"),
        *("total", "started", "skipped", "rejected", "created_by", "created_at", "finished_at"),
    )
    readonly_fields = fields
    commands = (
        Command(
            name="cancel",
            title="Cancel backfill",
            explanation="It starts no more runs; those that live go on.",
            done="cancelled",
            carry_out=lambda _caller, row: cancel_backfill(schedule_id=row.schedule_id, backfill_id=row.pk),
            applies=lambda row: row.finished_at is None,
            icon="cancel",
            destructive=True,
        ),
    )

    @admin.display(description="status")
    def shown_status(self, row: Backfill) -> SafeString:
        return shown.label(row.status)


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(ReadOnlyAdmin):
    """What beat rings, to look at. Its own admin, in which anyone could make any message go out, is none of ours."""

    list_display = ("name", "enabled", "task", "interval", "last_run_at", "total_run_count")
    list_filter = ("enabled",)
    list_filter_submit = True
    list_per_page = 50
    list_select_related = ("interval",)
    search_fields = ("name", "description")
    search_help_text = "Part of a name, or of a schedule's name"
    ordering = ("name",)
    sortable_by = ()
    fields = (
        *("name", "description", "task", "args", "interval", "enabled", "queue", "expire_seconds"),
        *("last_run_at", "total_run_count", "date_changed"),
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[PeriodicTask]:
        rows: QuerySet[PeriodicTask] = super().get_queryset(request)
        return rows.select_related("interval")
