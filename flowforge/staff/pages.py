"""Admins of rows that people only read."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.paginator import InfinitePaginator

from flowforge.staff.commands import CommandedAdmin


class ReadOnlyAdmin(CommandedAdmin):
    """Nothing is added, edited or deleted here: commands alone do something."""

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:  # noqa: ARG002  Django's signature
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002  Django's signature
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002  Django's signature
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:  # noqa: ARG002  as above
        shown: tuple[str, ...] = tuple(self.fields or ())
        return shown


class ProjectRowsAdmin(ReadOnlyAdmin):
    """What projects have set up, newest first: changed by the API, where it is checked as a whole."""

    list_filter_submit = True
    list_per_page = 50
    ordering = ("-created_at", "-id")
    sortable_by: Sequence[str] | None = ()
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    @admin.display(description="project")
    def project_name(self, row: Any) -> str:
        name: str = row.project.name
        return name

    @admin.display(description="workflow")
    def workflow_name(self, row: Any) -> str:
        return "all" if row.workflow is None else str(row.workflow.name)


class ManyRowsAdmin(ReadOnlyAdmin):
    """Rows of which there may be millions: never counted, in the order of their ids, which rise with time."""

    list_per_page = 50
    ordering = ("-id",)
    sortable_by = ()
    paginator = InfinitePaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
