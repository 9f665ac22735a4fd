"""Alerts for people with the admin: what fires, and why."""

from django.contrib import admin
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from flowforge.alerts.models import Alert
from flowforge.alerts.services.saving import delete_alert, update_alert
from flowforge.staff import shown
from flowforge.staff.commands import Command
from flowforge.staff.pages import ProjectRowsAdmin


@admin.register(Alert)
class AlertAdmin(ProjectRowsAdmin):
    """Read-only rows: an alert is changed by the API, where it is checked as a whole."""

    list_display = (
        "name",
        "shown_state",
        "condition",
        "severity",
        "workflow_name",
        "project_name",
        "last_triggered_at",
    )
    list_filter = ("enabled", ("project", AutocompleteSelectFilter))
    list_select_related = ("workflow", "project")
    search_fields = ("name",)
    search_help_text = "Part of a name"
    fields = (
        *("id", "name", "project", "workflow", "shown_state", "condition", "value", "severity"),
        *("last_triggered_at", "next_check_at", "error", "error_count", "created_by", "created_at", "updated_at"),
    )
    commands = (
        Command(
            name="switch_off",
            title="Switch off",
            explanation="It is not looked at until it is switched on.",
            done="switched off",
            carry_out=lambda _caller, row: update_alert(alert_id=row.pk, given={"enabled": False}),
            applies=lambda row: row.enabled,
            icon="notifications_off",
        ),
        Command(
            name="switch_on",
            title="Switch on",
            explanation="It is looked at again, from now on.",
            done="switched on",
            carry_out=lambda _caller, row: update_alert(alert_id=row.pk, given={"enabled": True}),
            applies=lambda row: not row.enabled,
            icon="notifications",
        ),
        Command(
            name="remove",
            title="Remove alert",
            explanation="It is gone for good.",
            done="removed",
            carry_out=lambda _caller, row: delete_alert(alert_id=row.pk),
            icon="delete",
            destructive=True,
        ),
    )

    @admin.display(description="state")
    def shown_state(self, row: Alert) -> SafeString:
        return shown.label(row.state if row.enabled else "off")

    @admin.display(description="condition")
    def condition(self, row: Alert) -> str:
        limit = "" if row.metric == "no_run" else f" {row.operator} {row.threshold:g}"
        return f"{row.metric}{limit} in {row.window}"
