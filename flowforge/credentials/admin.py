"""Credentials for people with the admin: that they exist, whither they go, when they end. Never what they hold."""

from django.contrib import admin
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from flowforge.core import clock
from flowforge.credentials.models import Credential
from flowforge.credentials.services.saving import delete_credential
from flowforge.staff import shown
from flowforge.staff.commands import Command
from flowforge.staff.pages import ProjectRowsAdmin


@admin.register(Credential)
class CredentialAdmin(ProjectRowsAdmin):
    """Read-only rows, without the ciphertext: a credential is changed by the API."""

    list_display = ("name", "type", "shown_hosts", "shown_status", "project_name", "expires_at", "last_used_at")
    list_filter = (("project", AutocompleteSelectFilter),)
    list_select_related = ("project",)
    search_fields = ("name",)
    search_help_text = "Part of a name"
    fields = (
        *("id", "name", "type", "project", "shown_hosts", "shown_status", "expires_at", "expiry_told_at"),
        *("last_used_at", "created_by", "created_at", "updated_by", "updated_at"),
    )
    commands = (
        Command(
            name="remove",
            title="Remove credential",
            explanation="It is gone for good: steps that name it fail from now on.",
            done="removed",
            carry_out=lambda _caller, row: delete_credential(credential_id=row.pk),
            icon="delete",
            destructive=True,
        ),
    )

    @admin.display(description="hosts")
    def shown_hosts(self, row: Credential) -> str:
        return ", ".join(row.hosts) or "none"

    @admin.display(description="status")
    def shown_status(self, row: Credential) -> SafeString:
        expired = row.expires_at is not None and row.expires_at <= clock.now()
        return shown.label("expired" if expired else "active")
