"""Runs for people with the admin: read, and steered through the services that the API calls."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

import orjson
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from flowforge.core import clock, json
from flowforge.core.errors import FlowForgeError
from flowforge.core.json import Json
from flowforge.kernel.picture import to_svg
from flowforge.kernel.states import RUN_STATUSES
from runs import selectors
from runs.models import Run
from runs.present import RunRow, Shown
from runs.services import cancel_run, pause_run, resume_run

TIMELINE_LENGTH = 500
STATUS_COLOURS = {
    "running": "info",
    "waiting": "info",
    "paused": "warning",
    "completed": "success",
    "failed": "danger",
}


class StatusFilter(admin.SimpleListFilter):
    """By status; the choices are known, so that no query looks for them."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(status, status) for status in RUN_STATUSES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Run]) -> QuerySet[Run]:
        return queryset.filter(status=self.value()) if self.value() else queryset


@admin.register(Run)
class RunAdmin(ModelAdmin):
    """Rows of the engine: nobody edits them here."""

    list_display = ("id", "workflow", "shown_status", "trigger_type", "created_at", "duration")
    list_filter = (StatusFilter, "project", "created_at")
    list_select_related = ("workflow",)
    list_per_page = 50
    search_fields = ("workflow__name", "error__message")
    ordering = ("-created_at", "-id")
    paginator = InfinitePaginator  # counting a million runs takes longer than showing fifty
    show_full_result_count = False
    actions = ("cancel", "pause", "resume")
    fields = (
        *("id", "workflow", "workflow_version", "project", "shown_status", "status_reason"),
        *("trigger_type", "trigger_id", "created_by", "priority", "trace_id"),
        *("created_at", "run_at", "started_at", "finished_at", "duration"),
        *("cancel_requested_at", "pause_requested_at", "report"),
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        """Without the documents, which may be large."""
        runs: QuerySet[Run] = super().get_queryset(request)
        return runs.defer("inputs", "outputs", "metadata", "error")

    @display(description="status", label=STATUS_COLOURS)  # type: ignore[untyped-decorator]  # unfold has no types
    def shown_status(self, run: Run) -> str:
        return run.status

    @admin.display(description="duration")
    def duration(self, run: Run) -> timedelta | None:
        """So far, if it still runs."""
        if run.started_at is None:
            return None
        return (run.finished_at or clock.now()) - run.started_at

    @admin.display(description="report")
    def report(self, run: Run) -> SafeString:
        row = selectors.read_run(run.pk)
        return render_to_string("admin/runs/report.html", _report(row)) if row else SafeString()

    @admin.action(description="Cancel", permissions=["steer"])
    def cancel(self, request: HttpRequest, chosen: QuerySet[Run]) -> None:
        self._ask(request, chosen, cancel_run)

    @admin.action(description="Pause", permissions=["steer"])
    def pause(self, request: HttpRequest, chosen: QuerySet[Run]) -> None:
        self._ask(request, chosen, pause_run)

    @admin.action(description="Resume", permissions=["steer"])
    def resume(self, request: HttpRequest, chosen: QuerySet[Run]) -> None:
        self._ask(request, chosen, resume_run)

    def has_steer_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("runs.change_run")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def _ask(self, request: HttpRequest, chosen: QuerySet[Run], service: Callable[..., None]) -> None:
        asked = 0
        for run_id in chosen.values_list("pk", flat=True):
            try:
                service(run_id=run_id)
                asked += 1
            except FlowForgeError as error:
                self.message_user(request, f"{run_id}: {error}", messages.ERROR)
        if asked:
            self.message_user(request, f"{asked} runs were asked.", messages.SUCCESS)


def _report(row: RunRow) -> dict[str, Any]:
    """What the template shows of a run."""
    shown = _plain(selectors.show_run(row))
    steps = shown.get("steps")
    events = _plain(selectors.transitions_of(row, limit=TIMELINE_LENGTH + 1))
    return {
        "run_id": shown["id"],
        "total": row.steps_total,
        "picture": "" if steps is None else _picture(row, steps),
        "documents": _documents(shown, ("error", "inputs", "outputs", "metadata")),
        "steps": steps and [{**step, "documents": _documents(step, ("error", "inputs", "output"))} for step in steps],
        "events": [{**event, **_cause(event["data"])} for event in events[:TIMELINE_LENGTH]],
        "more_events": len(events) > TIMELINE_LENGTH,
    }


def _cause(data: Mapping[str, Json]) -> dict[str, str]:
    """Which node an event is about, and why it came."""
    why = data["error"]["message"] if "error" in data else data.get("reason")
    return {"node_id": data.get("node_id", ""), "why": why or ""}


def _plain(shown: Json) -> Json:
    """The values themselves of what was made to go into an answer unread."""
    return json.loads_trusted(json.dumps(shown))


def _picture(row: RunRow, steps: Iterable[Shown]) -> SafeString:
    """The graph, coloured by state. The kernel's SVG escapes every text that a client wrote."""
    states = {step["node_id"]: step["status"] for step in steps}
    return mark_safe(to_svg(selectors.definition_of_run(row), states))  # noqa: S308  escaped by to_svg


def _documents(shown: Mapping[str, Json], names: Iterable[str]) -> list[tuple[str, str]]:
    """(name, text) of those that hold something."""
    return [(name, orjson.dumps(shown[name], option=orjson.OPT_INDENT_2).decode()) for name in names if shown[name]]
