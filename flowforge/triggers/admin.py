"""Event triggers for people with the admin: which events start what, and what came of them."""

from typing import Any

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from flowforge.staff import shown
from flowforge.staff.commands import Command
from flowforge.staff.pages import ProjectRowsAdmin
from flowforge.triggers.constants import LEDGER
from flowforge.triggers.models import EventTrigger
from flowforge.triggers.services.saving import delete_trigger, update_trigger
from workflows.decisions import decisions_of

DECISIONS_SHOWN = 20


@admin.register(EventTrigger)
class EventTriggerAdmin(ProjectRowsAdmin):
    """Read-only rows: a trigger is changed by the API, where it is checked as a whole."""

    list_display = ("name", "shown_status", "event", "workflow_name", "project_name", "last_fired_at")
    list_filter = ("enabled", ("project", AutocompleteSelectFilter))
    list_select_related = ("workflow", "project")
    search_fields = ("name", "event")
    search_help_text = "Part of a name, or of an event's"
    fields = (
        *("id", "name", "project", "workflow", "shown_status", "event", "match", "shown_mapping", "dedupe"),
        *("last_fired_at", "newest_decisions", "created_by", "created_at", "updated_at"),
    )
    commands = (
        Command(
            name="disable",
            title="Disable trigger",
            explanation="It hears nothing until it is enabled; its runs go on.",
            done="disabled",
            carry_out=lambda _caller, row: update_trigger(trigger_id=row.pk, given={"enabled": False}),
            applies=lambda row: row.enabled,
            icon="pause",
        ),
        Command(
            name="enable",
            title="Enable trigger",
            explanation="It hears events again, from now on.",
            done="enabled",
            carry_out=lambda _caller, row: update_trigger(trigger_id=row.pk, given={"enabled": True}),
            applies=lambda row: not row.enabled,
            icon="play_arrow",
        ),
        Command(
            name="remove",
            title="Remove trigger",
            explanation="It is gone for good. Its runs stay.",
            done="removed",
            carry_out=lambda _caller, row: delete_trigger(trigger_id=row.pk),
            icon="delete",
            destructive=True,
        ),
    )

    @admin.display(description="status")
    def shown_status(self, row: EventTrigger) -> SafeString:
        return shown.label("active" if row.enabled else "off")

    @admin.display(description="input mapping")
    def shown_mapping(self, row: EventTrigger) -> SafeString:
        return shown.code_block(shown.document(row.input_mapping))

    @admin.display(description="newest decisions")
    def newest_decisions(self, row: EventTrigger) -> SafeString:
        found = decisions_of(LEDGER, str(row.pk)).order_by("-created_at", "-id")[:DECISIONS_SHOWN]
        lines = format_html_join("", "<li>{} {} {} {}</li>", map(_line, found))
        return format_html("<ul>{}</ul>", lines) if lines else SafeString("–")


def _line(row: dict[str, Any]) -> tuple[SafeString, SafeString, str, str]:
    """When it heard it, what became of it with the way to its run, why, and which event."""
    page = None if row["run_id"] is None else reverse("admin:runs_run_change", args=[row["run_id"]])
    return shown.moment(row["created_at"]), shown.label(row["decision"], href=page), row["reason"], row["detail"]
