"""Step templates for people with the admin: what they hold, and archiving them."""

from typing import Any

from django.contrib import admin
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from flowforge.staff import shown
from flowforge.staff.commands import Command
from flowforge.staff.pages import ProjectRowsAdmin
from templates_app import present
from templates_app.constants import CONTENT_FIELDS
from templates_app.models import StepTemplate
from templates_app.selectors import get_version
from templates_app.services.saving import archive_template


@admin.register(StepTemplate)
class StepTemplateAdmin(ProjectRowsAdmin):
    """Read-only rows: a template is changed by the API, where it is checked and versioned."""

    list_display = ("name", "step_type", "version", "shown_status", "project_name", "updated_at")
    list_filter = (("project", AutocompleteSelectFilter),)
    list_select_related = ("project",)
    search_fields = ("name", "description")
    search_help_text = "Part of a name or a description"
    fields = (
        *("id", "name", "description", "project", "shown_status", "step_type", "version"),
        *("content", "archived_at", "created_at", "updated_at"),
    )
    commands = (
        Command(
            name="archive",
            title="Archive template",
            explanation="No new node takes it. Refused while workflows use it.",
            done="archived",
            carry_out=lambda _caller, row: archive_template(template_id=row.pk),
            applies=lambda row: row.archived_at is None,
            icon="archive",
            destructive=True,
        ),
    )

    @admin.display(description="status")
    def shown_status(self, row: StepTemplate) -> SafeString:
        return shown.label("active" if row.archived_at is None else "archived")

    @admin.display(description="content of the newest version")
    def content(self, row: Any) -> SafeString:
        if not hasattr(row, "newest_version"):  # a page asks for each of its fields several times
            row.newest_version = get_version(row.pk, row.version)
        whole = present.template(row, row.newest_version)
        return shown.code_block(shown.document({name: whole[name] for name in CONTENT_FIELDS}))
