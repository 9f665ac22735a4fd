"""Assets for people with the admin: what there is, how large, who changed it. Contents are read by the API."""

from django.contrib import admin
from django.db.models import Prefetch, prefetch_related_objects
from django.template.defaultfilters import filesizeformat
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from flowforge.assets.models import Asset, AssetVersion
from flowforge.assets.selectors import versions_of
from flowforge.assets.services.saving import delete_asset
from flowforge.staff.commands import Command
from flowforge.staff.pages import ProjectRowsAdmin

SHOWN_VERSIONS = 20


@admin.register(Asset)
class AssetAdmin(ProjectRowsAdmin):
    """Read-only rows: an asset is changed by the API, where its content is checked and counted."""

    list_display = ("label", "type", "shown_size", "version", "content_type", "project_name", "updated_at")
    list_filter = ("type", ("project", AutocompleteSelectFilter))
    list_select_related = ("project",)
    search_fields = ("label",)
    search_help_text = "Part of a label"
    fields = (
        *("id", "label", "type", "project", "version", "shown_size", "content_type", "sha256", "metadata"),
        *("shown_versions", "created_by", "created_at", "updated_by", "updated_at"),
    )
    commands = (
        Command(
            name="remove",
            title="Remove asset",
            explanation="It is gone for good, with all its versions: steps that name it fail from now on.",
            done="removed",
            carry_out=lambda _caller, row: delete_asset(asset_id=row.pk),
            icon="delete",
            destructive=True,
        ),
    )

    @admin.display(description="size")
    def shown_size(self, row: Asset) -> str:
        return filesizeformat(row.size)

    @admin.display(description="versions")
    def shown_versions(self, row: Asset) -> SafeString:
        """The newest; the API has all. Read once, however often the page asks."""
        newest = versions_of(row).order_by("-version")[:SHOWN_VERSIONS]
        prefetch_related_objects([row], Prefetch("versions", newest, to_attr="newest_versions"))
        found: list[AssetVersion] = row.newest_versions  # type: ignore[attr-defined]  # set by the line above
        lines = ((one.version, filesizeformat(one.size), one.created_at, one.created_by) for one in found)
        return format_html_join("", "<div>{}: {}, {:%Y-%m-%d %H:%M} UTC, {}</div>", lines)
