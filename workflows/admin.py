"""Workflows for people with the admin: what they do goes through the services that the API calls."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from unfold.admin import ModelAdmin, TabularInline

from flowforge.api.caller import Caller
from flowforge.core.errors import FlowForgeError
from flowforge.kernel.picture import to_svg
from workflows.models import Workflow, WorkflowVersion
from workflows.selectors import current_version, definition_of
from workflows.services import yaml_text
from workflows.services.files import exported
from workflows.services.forms import Written
from workflows.services.saving import Attributes, update_workflow


class VersionInline(TabularInline):
    """History is read, never written."""

    model = WorkflowVersion
    fields = readonly_fields = ("version", "definition_hash", "created_by", "created_at")
    ordering = ("-version",)
    extra = 0
    max_num = 0
    can_delete = False
    show_change_link = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[WorkflowVersion]:
        versions: QuerySet[WorkflowVersion] = super().get_queryset(request)
        return versions.defer("definition").select_related("created_by")


@admin.register(Workflow)
class WorkflowAdmin(ModelAdmin):
    """Read-only rows: a definition is changed by the API, where it is validated and versioned."""

    list_display = ("name", "project", "status", "version", "shown_tags", "updated_at")
    list_filter = ("status", "project")
    list_select_related = ("project",)
    search_fields = ("name", "description")
    ordering = ("-created_at", "-id")
    show_full_result_count = False
    actions = ("pause", "activate")
    inlines = (VersionInline,)
    fields = (
        "name",
        "project",
        "status",
        "version",
        "shown_tags",
        "description",
        "picture",
        "definition",
        "created_at",
        "updated_at",
    )
    readonly_fields = fields

    @admin.display(description="tags")
    def shown_tags(self, workflow: Workflow) -> str:
        return ", ".join(workflow.tags)

    @admin.display(description="picture")
    def picture(self, workflow: Workflow) -> SafeString:
        """The kernel's SVG escapes every text that a client wrote."""
        svg = to_svg(definition_of(current_version(workflow.pk).pk))
        return format_html('<div style="overflow:auto;max-height:40rem">{}</div>', mark_safe(svg))  # noqa: S308  escaped by to_svg

    @admin.display(description="definition")
    def definition(self, workflow: Workflow) -> SafeString:
        text = yaml_text.dump(exported(current_version(workflow.pk))["definition"])
        return format_html('<pre style="overflow:auto;max-height:40rem">{}</pre>', text)

    @admin.action(description="Pause: no new runs", permissions=["steer"])
    def pause(self, request: HttpRequest, chosen: QuerySet[Workflow]) -> None:
        self._set_status(request, chosen, Workflow.Status.PAUSED)

    @admin.action(description="Activate", permissions=["steer"])
    def activate(self, request: HttpRequest, chosen: QuerySet[Workflow]) -> None:
        self._set_status(request, chosen, Workflow.Status.ACTIVE)

    def has_steer_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("workflows.change_workflow")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Rows are looked at: a form that saves one would write back what it read a while ago."""
        return False

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def _set_status(self, request: HttpRequest, chosen: QuerySet[Workflow], status: str) -> None:
        changed = 0
        for workflow_id, name in chosen.values_list("pk", "name"):
            try:
                update_workflow(
                    workflow_id=workflow_id,
                    attributes=Attributes(status=status),
                    written=Written(parts={}),
                    caller=_caller(request),
                )
                changed += 1
            except FlowForgeError as error:
                self.message_user(request, f"{name}: {error}", messages.ERROR)
        self.message_user(request, f"{changed} workflows are {status} now.", messages.SUCCESS)


def _caller(request: HttpRequest) -> Caller:
    """Who sits before the admin; what it may do is the admin's own permissions."""
    return Caller(kind="user", id=str(request.user.pk), name=str(request.user), grants={}, user_id=request.user.pk)
