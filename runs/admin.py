"""Runs for people with the admin: read, and steered through the services that the API calls."""

import contextlib
import uuid
from typing import Any

from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RadioFilter
from unfold.decorators import display

from flowforge.core import clock
from flowforge.kernel import durations
from flowforge.kernel.states import LIVE_RUN_STATUSES, RUN_STATUSES
from flowforge.staff import shown
from flowforge.staff.commands import Command
from flowforge.staff.pages import ManyRowsAdmin, ReadOnlyAdmin
from runs.models import FailureGroup, Run
from runs.report import report, seconds_of
from runs.services import (
    cancel_run,
    pause_run,
    replay_run,
    resolve_failure,
    resume_run,
    retry_failure,
    retry_run,
)
from runs.transitions import RETRYABLE
from workflows.models import Workflow

LIVE = "live"  # of the status filter: whatever has not ended


class StatusFilter(RadioFilter):
    """By status; the choices are known, so that no query looks for them."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(LIVE, "not ended"), *((status, status) for status in RUN_STATUSES)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Run]) -> QuerySet[Run]:
        wanted = self.value()
        if wanted == LIVE or wanted in LIVE_RUN_STATUSES:
            queryset = queryset.filter(finished_at=None)  # what the index `run_live` holds
        return queryset if wanted in (None, "", LIVE) else queryset.filter(status=wanted)


class CreatedFilter(RadioFilter):
    """By age. An id begins with its moment (RFC 9562, 5.7), so the primary key answers this: it needs no index."""

    title = "age"
    parameter_name = "newer_than"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1h", "an hour"), ("1d", "a day"), ("7d", "a week"), ("30d", "thirty days")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Run]) -> QuerySet[Run]:
        if self.value() not in dict(self.lookup_choices):
            return queryset
        milliseconds = int((clock.now().timestamp() - durations.parse(self.value())) * 1000)
        return queryset.filter(pk__gte=uuid.UUID(int=milliseconds << 80))


def is_live(run: Run) -> bool:
    return run.status in LIVE_RUN_STATUSES


@admin.register(Run)
class RunAdmin(ManyRowsAdmin):
    """Rows of the engine: nobody edits them here."""

    list_display = ("shown_run", "shown_status", "shown_project", "trigger_type", "progress", "created_at", "duration")
    list_filter = (
        StatusFilter,
        ("workflow", AutocompleteSelectFilter),
        ("project", AutocompleteSelectFilter),
        CreatedFilter,
    )
    list_filter_submit = True
    search_fields = ("id",)  # makes the box; get_search_results says what is searched
    search_help_text = "Id of a run, or part of a workflow's name"
    fields = (
        *("id", "trace_id", "trigger_type", "trigger_id", "priority", "attempt"),
        *("created_at", "run_at", "started_at", "finished_at", "deadline_at"),
        *("cancel_requested_at", "pause_requested_at"),
    )
    commands = (
        Command(
            name="pause",
            title="Pause run",
            explanation="No new step begins until the run is resumed; steps that run go on to their end.",
            done="asked to pause",
            carry_out=lambda _caller, run: pause_run(run_id=run.pk),
            applies=lambda run: is_live(run) and run.pause_requested_at is None and run.cancel_requested_at is None,
            icon="pause",
        ),
        Command(
            name="resume",
            title="Resume run",
            explanation="The run goes on where it was paused.",
            done="asked to go on",
            carry_out=lambda _caller, run: resume_run(run_id=run.pk),
            applies=lambda run: is_live(run) and run.pause_requested_at is not None,
            icon="play_arrow",
        ),
        Command(
            name="cancel",
            title="Cancel run",
            explanation="Running steps are stopped, no other begins, and the run ends as cancelled.",
            done="asked to end",
            carry_out=lambda _caller, run: cancel_run(run_id=run.pk),
            applies=lambda run: is_live(run) and run.cancel_requested_at is None,
            icon="cancel",
            destructive=True,
        ),
        Command(
            name="retry",
            title="Retry",
            explanation="The run goes on from the steps that did not complete; what completed is kept.",
            done="going on as the next attempt",
            carry_out=lambda caller, run: retry_run(run_id=run.pk, caller_actor=caller.actor),
            applies=lambda run: run.status in RETRYABLE,
            icon="refresh",
        ),
        Command(
            name="replay",
            title="Replay",
            explanation="A new run of the same version with the same inputs is started.",
            done="started anew",
            carry_out=lambda caller, run: replay_run(run_id=run.pk, caller_actor=caller.actor),
            icon="replay",
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        """Without the documents, which may be large. No join: a planner might begin with the workflows, and sort."""
        runs: QuerySet[Run] = super().get_queryset(request)
        return runs.defer("inputs", "outputs", "metadata", "error").prefetch_related("workflow", "project")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Run], search_term: str
    ) -> tuple[QuerySet[Run], bool]:
        """By key, or by the workflows of that name: nothing that would read every run."""
        if not search_term:
            return queryset, False
        found = Q(workflow__in=Workflow.objects.filter(name__icontains=search_term).order_by())
        with contextlib.suppress(ValueError):
            found |= Q(pk=uuid.UUID(search_term.strip()))
        return queryset.filter(found), False

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """With the report: whether the run may be seen has been asked by now."""
        run: Run = kwargs["obj"]
        page = request.GET.get("steps", "")
        context |= report(run, int(page) if page.isdecimal() and len(page) < 9 else 1)
        context |= {"run": run, "title": run.workflow.name, "subtitle": None}
        answer: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return answer

    def name_of(self, row: Model) -> str:
        run: Any = row
        return f"{run.workflow.name}, run {run.pk} ({run.status})"

    @display(description="run", header=True)  # type: ignore[untyped-decorator]  # unfold has no types
    def shown_run(self, run: Run) -> list[str]:
        return [run.workflow.name, str(run.pk)]

    @admin.display(description="project")
    def shown_project(self, run: Run) -> str:
        """Not the field itself, for which Django would join."""
        return run.project.name

    @admin.display(description="status")
    def shown_status(self, run: Run) -> SafeString:
        return shown.label(run.status)

    @admin.display(description="steps done")
    def progress(self, run: Run) -> str:
        return f"{run.steps_completed + run.steps_failed + run.steps_skipped} of {run.steps_total}"

    @admin.display(description="duration")
    def duration(self, run: Run) -> str:
        """So far, if it still runs."""
        return shown.lasted(seconds_of(run))


@admin.register(FailureGroup)
class FailureGroupAdmin(ReadOnlyAdmin):
    """What goes wrong again and again, as the engine counts it."""

    list_display = ("message", "code", "node_id", "workflow", "shown_status", "count", "last_seen_at")
    list_filter = ("status", ("workflow", AutocompleteSelectFilter), ("project", AutocompleteSelectFilter))
    list_filter_submit = True
    list_select_related = ("workflow",)
    ordering = ("-last_seen_at", "-id")
    fields = (
        *("message", "code", "node_id", "workflow", "project", "status", "count"),
        *("first_seen_at", "last_seen_at", "resolved_at", "sample_run_id"),
    )
    commands = (
        Command(
            name="retry",
            title="Retry the runs",
            explanation="Those of its runs that are failed still go on from the steps that did not complete.",
            done="its runs go on",
            carry_out=lambda caller, group: retry_failure(failure_id=group.pk, caller_actor=caller.actor),
            icon="refresh",
            destructive=True,
        ),
        Command(
            name="resolve",
            title="Resolve",
            explanation="It is dealt with. The next such failure opens it again.",
            done="resolved",
            carry_out=lambda _caller, group: resolve_failure(failure_id=group.pk),
            applies=lambda group: group.status == FailureGroup.Status.OPEN,
            icon="check",
        ),
    )

    @display(description="status", label={"open": "warning", "resolved": "success"})  # type: ignore[untyped-decorator]  # unfold has no types
    def shown_status(self, group: FailureGroup) -> str:
        return group.status
